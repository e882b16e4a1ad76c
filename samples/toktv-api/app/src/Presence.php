<?php

declare(strict_types=1);

namespace Toktv;

/**
 * The clients in each room of this instance. The live channels write this list, the JSON interface
 * reads it. Instances share nothing; the router's cookie keeps a client on its instance.
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
        // Atomically: readers see the old list or the new one, never a part.
        file_put_contents("$this->file.new", Json::encode($all));
        rename("$this->file.new", $this->file);
    }
}
