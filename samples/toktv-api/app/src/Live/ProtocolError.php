<?php

declare(strict_types=1);

namespace Toktv\Live;

/** The client broke the protocol; the code is one of RFC 6455, section 7.4.1. */
final class ProtocolError extends \RuntimeException
{
    public const int WRONG_FRAME = 1002;
    public const int NOT_TEXT = 1003;
    public const int TOO_LONG = 1009;

    public function __construct(int $code, string $reason)
    {
        parent::__construct($reason, $code);
    }
}
