<?php

declare(strict_types=1);

namespace Toktv\Live;

/** A frame of the WebSocket protocol, RFC 6455, section 5. */
final readonly class Frame
{
    public const int CONTINUATION = 0x0;
    public const int TEXT = 0x1;
    public const int CLOSE = 0x8;
    public const int PING = 0x9;
    public const int PONG = 0xa;

    /** The largest payload in bytes. */
    private const int LONGEST = 8192;

    public function __construct(
        public int $opcode,
        public string $payload = '',
        public bool $final = true,
    ) {
    }

    public static function closing(int $code): self
    {
        return new self(self::CLOSE, pack('n', $code));
    }

    public function isControl(): bool
    {
        return $this->opcode >= self::CLOSE;
    }

    /** The frame as a server sends it, without a mask. */
    public function encode(): string
    {
        $length = strlen($this->payload);
        $first = ($this->final ? 0x80 : 0) | $this->opcode;

        return match (true) {
            $length < 126 => pack('CC', $first, $length),
            $length < 65536 => pack('CCn', $first, 126, $length),
            default => pack('CCJ', $first, 127, $length),
        } . $this->payload;
    }

    /**
     * Removes the first frame from the bytes of a client; null if it is not complete yet.
     *
     * @throws ProtocolError
     */
    public static function take(string &$bytes): ?self
    {
        if (strlen($bytes) < 2) {
            return null;
        }
        [$first, $second] = [ord($bytes[0]), ord($bytes[1])];
        if (($first & 0x70) !== 0 || ($second & 0x80) === 0) {
            throw new ProtocolError(ProtocolError::WRONG_FRAME, 'reserved bits, or not masked');
        }
        [$length, $head] = self::length($bytes, $second & 0x7f);
        if ($length === null || strlen($bytes) < $head + 4 + $length) {
            return null;
        }
        $frame = new self(
            $first & 0x0f,
            self::unmask(substr($bytes, $head + 4, $length), substr($bytes, $head, 4)),
            ($first & 0x80) !== 0,
        );
        if ($frame->isControl() && (!$frame->final || $length > 125)) {
            throw new ProtocolError(ProtocolError::WRONG_FRAME, 'a control frame must be short');
        }
        $bytes = substr($bytes, $head + 4 + $length);

        return $frame;
    }

    /**
     * @return array{?int, int} the length of the payload, or null while it is unknown; the offset of
     *     the mask
     * @throws ProtocolError if it is too long
     */
    private static function length(string $bytes, int $short): array
    {
        [$format, $size] = match ($short) {
            126 => ['n', 2],
            127 => ['J', 8],
            default => [null, 0],
        };
        if (strlen($bytes) < 2 + $size) {
            return [null, 0];
        }
        $length = $format === null ? $short : unpack($format, $bytes, 2)[1];
        if ($length < 0 || $length > self::LONGEST) {
            throw new ProtocolError(ProtocolError::TOO_LONG, 'at most ' . self::LONGEST . ' bytes');
        }

        return [$length, 2 + $size];
    }

    private static function unmask(string $payload, string $mask): string
    {
        return $payload ^ str_pad('', strlen($payload), $mask);
    }
}
