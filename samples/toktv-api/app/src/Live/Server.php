<?php

declare(strict_types=1);

namespace Toktv\Live;

use Toktv\Identity;
use Toktv\Json;
use Toktv\Presence;
use Toktv\Refusal;
use Toktv\Request;

/** The live channels of this instance: a message in a room goes to all clients in that room. */
final class Server
{
    private const int LONGEST_TEXT = 500;
    /** RFC 6455, section 7.4.1: the server goes away. */
    private const int GOING_AWAY = 1001;
    /** Seconds for the goodbye to clients. */
    private const int FAREWELL = 2;

    /** @var array<int, Client> by number of the stream */
    private array $clients = [];
    private bool $stopping = false;

    public function __construct(
        private readonly Identity $identity,
        private readonly Handshake $handshake,
        private readonly Presence $presence,
    ) {
    }

    /** The socket that nginx connects to. */
    public static function socket(): string
    {
        return getenv('STATE') . '/live.sock';
    }

    public function stop(): void
    {
        $this->stopping = true;
    }

    public function run(): void
    {
        @unlink(self::socket()); // left by an earlier run in this container
        $listener = stream_socket_server(
            'unix://' . self::socket(),
            $number,
            $reason,
            context: stream_context_create(['socket' => ['backlog' => 511]]),
        ) ?: throw new \RuntimeException('cannot listen on ' . self::socket() . ": $reason");
        $this->presence->write([]);
        while (!$this->stopping) {
            $this->serve($listener);
            array_walk($this->clients, static fn (Client $one) => $one->check());
            $this->forgetThoseGone();
        }
        fclose($listener);
        $this->sayGoodbye();
    }

    /** @param ?resource $listener */
    private function serve(mixed $listener): void
    {
        $waiting = $this->thoseWith(static fn (Client $one) => $one->hasToSend());
        $readable = array_filter([$listener, ...array_column($this->clients, 'stream')]);
        $writable = array_column($waiting, 'stream');
        $none = null;
        // A signal ends the wait and causes a warning.
        if (!@stream_select($readable, $writable, $none, 1)) {
            return;
        }
        foreach ($readable as $stream) {
            if ($stream === $listener) {
                $this->welcome($listener);
            } else {
                $this->hear($this->clients[get_resource_id($stream)]);
            }
        }
        foreach ($writable as $stream) {
            $this->clients[get_resource_id($stream)]->flush();
        }
    }

    /** @param resource $listener */
    private function welcome(mixed $listener): void
    {
        $stream = @stream_socket_accept($listener, 0);
        $client = $stream ? $this->handshake->answer($stream) : null;
        if ($client === null) {
            return;
        }
        $this->clients[get_resource_id($stream)] = $client;
        if ($client->name !== null) {
            $this->tellPresence($client->room);
        }
        $client->send($this->event($client->room, [
            'type' => 'welcome',
            'you' => $client->name,
            'present' => $this->presence->in($client->room),
        ]));
    }

    private function hear(Client $client): void
    {
        foreach ($client->receive() as $message) {
            try {
                $this->tell($client->room, $this->said($client, $message));
            } catch (Refusal $refusal) {
                $client->send($this->event($client->room, [
                    'type' => 'error',
                    'error' => $refusal->getMessage(),
                ]));
            }
        }
    }

    /**
     * @return array<string, mixed>
     * @throws Refusal
     */
    private function said(Client $client, string $message): array
    {
        if ($client->name === null) {
            throw new Refusal(403, 'you only listen: POST /rooms/{room}/ticket first');
        }
        $text = Request::of('POST', '', $message)->json()['text'] ?? null;
        if (!is_string($text) || $text === '') {
            throw new Refusal(422, 'say something: {"text": "…"}');
        }
        $shown = preg_replace('/^(.{' . self::LONGEST_TEXT . '}).+/su', '$1…', $text);

        return ['type' => 'message', 'from' => $client->name, 'text' => $shown];
    }

    private function tellPresence(string $room): void
    {
        $all = [];
        foreach ($this->clients as $client) {
            if ($client->name !== null) {
                $all[$client->room][$client->name] = $client->name;
            }
        }
        $before = $this->presence->in($room);
        $this->presence->write(array_map(array_values(...), $all));
        $now = $this->presence->in($room);
        if ($now !== $before) {
            $this->tell($room, ['type' => 'presence', 'present' => $now]);
        }
    }

    /** @param array<string, mixed> $data */
    private function tell(string $room, array $data): void
    {
        $event = $this->event($room, $data);
        foreach ($this->thoseWith(static fn (Client $one) => $one->room === $room) as $client) {
            $client->send($event);
        }
    }

    /** @param array<string, mixed> $data */
    private function event(string $room, array $data): string
    {
        $served = ['at' => time(), 'served_by' => get_object_vars($this->identity)];

        return Json::encode(['room' => $room] + $data + $served);
    }

    private function forgetThoseGone(): void
    {
        $gone = $this->thoseWith(static fn (Client $one) => $one->isOver());
        foreach ($gone as $id => $client) {
            fclose($client->stream);
            unset($this->clients[$id]);
        }
        foreach ($gone as $client) {
            if ($client->name !== null) {
                $this->tellPresence($client->room);
            }
        }
    }

    private function sayGoodbye(): void
    {
        foreach ($this->clients as $client) {
            $client->close(self::GOING_AWAY);
        }
        $until = time() + self::FAREWELL;
        while ($this->clients !== [] && time() < $until) {
            $this->serve(null);
            $this->forgetThoseGone();
        }
    }

    /**
     * @param callable(Client): bool $condition
     * @return array<int, Client>
     */
    private function thoseWith(callable $condition): array
    {
        return array_filter($this->clients, $condition);
    }
}
