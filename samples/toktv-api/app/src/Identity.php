<?php

declare(strict_types=1);

namespace Toktv;

/** The identity of this instance, from the environment that the unit gives the container. */
final readonly class Identity
{
    public function __construct(
        public string $service,
        public string $instance,
        public string $node,
        public string $release,
        public string $version,
        public string $host,
    ) {
    }

    public static function fromEnvironment(): self
    {
        $host = gethostname() ?: 'unknown';

        return new self(
            service: getenv('SERVICE') ?: 'toktv-api',
            instance: getenv('INSTANCE') ?: $host,
            node: getenv('NODE_NAME') ?: 'unknown',
            release: getenv('RELEASE') ?: 'unknown',
            version: getenv('VERSION') ?: 'unknown',
            host: $host,
        );
    }
}
