<?php

declare(strict_types=1);

namespace Toktv;

/** The existing rooms, and the voice server for their calls. */
final readonly class Rooms
{
    private const array TITLES = [
        'lobby' => 'The lobby',
        'derby' => 'Derby night',
        'champions' => 'Champions, live',
        'transfer-talk' => 'Transfer talk',
    ];

    public function __construct(private string $voiceHost, private int $voicePort)
    {
    }

    public static function fromEnvironment(): self
    {
        return new self(getenv('VOICE_HOST') ?: '', (int) (getenv('VOICE_PORT') ?: 64738));
    }

    /** @return list<string> */
    public function all(): array
    {
        return array_keys(self::TITLES);
    }

    public function has(string $room): bool
    {
        return isset(self::TITLES[$room]);
    }

    /**
     * @return array<string, mixed>
     * @throws Refusal if there is no such room
     */
    public function describe(string $room): array
    {
        if (!$this->has($room)) {
            throw new Refusal(404, 'no such room; GET /rooms lists them');
        }

        return [
            'room' => $room,
            'title' => self::TITLES[$room],
            'live' => "/live/$room",
            'voice' => $this->voiceHost === '' ? null : "mumble://$this->voiceHost:$this->voicePort",
        ];
    }
}
