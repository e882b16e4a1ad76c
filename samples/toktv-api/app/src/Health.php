<?php

declare(strict_types=1);

namespace Toktv;

use Toktv\Live\Server;

/** Whether this instance can serve. Any answer already proves that php-fpm works. */
final readonly class Health
{
    public function __construct(private Tickets $tickets)
    {
    }

    public function answer(): Response
    {
        $checks = [
            'sessions' => $this->problem($this->writeSession(...)),
            'live' => $this->problem($this->askLive(...)),
            'tickets' => $this->tickets->areConfigured()
                ? $this->problem($this->tickets->key(...))
                : 'not configured',
        ];
        $healthy = array_diff($checks, ['ok', 'not configured']) === [];

        return new Response($healthy ? 200 : 503, ['healthy' => $healthy, 'checks' => $checks]);
    }

    /** @param callable(): mixed $check */
    private function problem(callable $check): string
    {
        try {
            $check();

            return 'ok';
        } catch (\Exception $problem) {
            return $problem->getMessage();
        }
    }

    private function writeSession(): void
    {
        // A new file: an existing one may have room even if the tmpfs is full.
        $file = Session::folder() . '/' . uniqid('health');
        $written = @file_put_contents($file, 'x');
        @unlink($file);
        if ($written !== 1) {
            throw new \RuntimeException('sessions cannot be written');
        }
    }

    private function askLive(): void
    {
        $live = @stream_socket_client('unix://' . Server::socket(), timeout: 1);
        $answer = '';
        if ($live !== false) {
            stream_set_timeout($live, 1);
            fwrite($live, "GET /live/ HTTP/1.1\r\n\r\n");
            $answer = fgets($live);
        }
        // The server refuses this request, because it does not open a WebSocket.
        if (!str_starts_with((string) $answer, 'HTTP/1.1 426')) {
            throw new \RuntimeException('the live channels do not answer');
        }
    }
}
