<?php

declare(strict_types=1);

namespace Toktv;

/** A request is refused. The message is for the client. */
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
