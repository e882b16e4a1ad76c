<?php

declare(strict_types=1);

namespace Toktv;

/**
 * A ticket lets a client speak in a room's live channel for some minutes. It holds the name and the
 * room, and a signature. All instances sign with the same secret, so each accepts all tickets.
 */
final readonly class Tickets
{
    private const int LIFETIME = 900;

    /** @param string $file the file with the secret; empty if there is none */
    public function __construct(private string $file)
    {
    }

    public static function fromEnvironment(): self
    {
        return new self(getenv('TICKET_KEY_FILE') ?: '');
    }

    public function areConfigured(): bool
    {
        return $this->file !== '';
    }

    /** @throws \RuntimeException if the secret cannot be read */
    public function key(): string
    {
        $key = is_readable($this->file) ? trim((string) file_get_contents($this->file)) : '';
        if ($key === '') {
            throw new \RuntimeException('the secret TICKET_KEY is empty or cannot be read');
        }

        return $key;
    }

    /** @throws Refusal if this service has no secret to sign with */
    public function issue(string $room, string $name): string
    {
        if (!$this->areConfigured()) {
            throw new Refusal(503, 'tickets need the secret TICKET_KEY, which this service has not');
        }
        $claims = ['room' => $room, 'name' => $name, 'until' => time() + self::LIFETIME];
        $signed = $this->encode(Json::encode($claims));

        return "$signed.{$this->signature($signed)}";
    }

    /** The name of the client that may speak in the room; null if the ticket is not valid. */
    public function bearer(string $ticket, string $room): ?string
    {
        [$signed, $signature] = explode('.', $ticket, 2) + ['', ''];
        if (!$this->areConfigured() || !hash_equals($this->signature($signed), $signature)) {
            return null;
        }
        $claims = json_decode((string) base64_decode(strtr($signed, '-_', '+/')), true);

        return $claims['room'] === $room && $claims['until'] > time() ? $claims['name'] : null;
    }

    private function signature(string $signed): string
    {
        return $this->encode(hash_hmac('sha256', $signed, $this->key(), binary: true));
    }

    private function encode(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }
}
