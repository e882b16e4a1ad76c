<?php

declare(strict_types=1);

namespace Toktv\Live;

use Toktv\Json;
use Toktv\Refusal;
use Toktv\Request;
use Toktv\Rooms;
use Toktv\Tickets;

/** The HTTP request that opens a WebSocket: RFC 6455, section 4.2. */
final readonly class Handshake
{
    private const string PROTOCOL = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

    public function __construct(private Rooms $rooms, private Tickets $tickets)
    {
    }

    /**
     * Reads the request and answers it. Afterwards the stream does not block.
     *
     * @param resource $stream from nginx, which sends all headers together, so reading is fast
     * @return ?Client null if the client was refused; the answer has the reason
     */
    public function answer(mixed $stream): ?Client
    {
        stream_set_timeout($stream, 1);
        $head = (string) stream_get_line($stream, 16384, "\r\n\r\n");
        try {
            $client = $this->accept($stream, $head);
        } catch (Refusal $refusal) {
            $body = Json::encode(['error' => $refusal->getMessage()]) . "\n";
            $headers = ['Content-Type' => 'application/json', 'Connection' => 'close'];
            $this->send($stream, $refusal->status, $headers + $refusal->headers, $body);

            return null;
        }
        stream_set_blocking($stream, false);

        return $client;
    }

    /**
     * @param resource $stream
     * @throws Refusal
     */
    private function accept(mixed $stream, string $head): Client
    {
        $request = Request::of('GET', explode(' ', $head, 3)[1] ?? '');
        $key = preg_match('/^Sec-WebSocket-Key:\s*(\S+)/im', $head, $found)
            ? $found[1]
            : throw new Refusal(426, 'open a WebSocket here', ['Upgrade' => 'websocket']);
        $room = substr($request->path, strlen('/live/'));
        $this->rooms->describe($room);
        $client = new Client($stream, $room, $this->speaker($request, $room));
        $this->send($stream, 101, [
            'Upgrade' => 'websocket',
            'Connection' => 'Upgrade',
            'Sec-WebSocket-Accept' => base64_encode(sha1($key . self::PROTOCOL, binary: true)),
        ]);

        return $client;
    }

    /**
     * Everyone may listen; a client that wants to speak needs a ticket.
     *
     * @throws Refusal if the ticket is not valid
     */
    private function speaker(Request $request, string $room): ?string
    {
        $ticket = $request->query['ticket'] ?? null;

        return $ticket === null
            ? null
            : $this->tickets->bearer($ticket, $room)
                ?? throw new Refusal(403, 'the ticket is not good for this room, or not any more');
    }

    /**
     * @param resource $stream
     * @param array<string, string> $headers
     */
    private function send(mixed $stream, int $status, array $headers, string $body = ''): void
    {
        $text = "HTTP/1.1 $status Answer\r\n";
        foreach ($headers as $name => $value) {
            $text .= "$name: $value\r\n";
        }
        @fwrite($stream, "$text\r\n$body");
    }
}
