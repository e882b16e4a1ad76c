<?php

declare(strict_types=1);

namespace Toktv;

/**
 * Who is in which room, as far as this instance knows: the live channels write it down, the JSON
 * interface reads it. Instances share nothing; a client stays with its own by the router's cookie.
 */
final readonly class Presence
{
    public function __construct(private string $file)
    {
    }

    public static function fromEnvironment(): self
    {
        return new self(getenv('STATE') . '/presence.json');
    }

    /** @return list<string> */
    public function in(string $room): array
    {
        $all = json_decode((string) @file_get_contents($this->file), true);

        return $all[$room] ?? [];
    }

    /** @param array<string, list<string>> $all */
    public function write(array $all): void
    {
        // Readers see the old list or the new one, never a part.
        file_put_contents("$this->file.new", Json::encode($all));
        rename("$this->file.new", $this->file);
    }
}
