<?php

declare(strict_types=1);

namespace Toktv;

/** A request that can't be met, with what the client is told. */
final class Refusal extends \RuntimeException
{
    /** @param array<string, string> $headers */
    public function __construct(
        public readonly int $status,
        string $reason,
        public readonly array $headers = [],
    ) {
        parent::__construct($reason);
    }
}
