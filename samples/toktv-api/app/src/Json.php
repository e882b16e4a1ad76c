<?php

declare(strict_types=1);

namespace Toktv;

final class Json
{
    /** @param array<string, mixed> $data */
    public static function encode(array $data): string
    {
        return json_encode(
            $data,
            JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE,
        );
    }
}
