<?php

declare(strict_types=1);

namespace Toktv;

/** The JSON interface: routes and answers. */
final readonly class Application
{
    public function __construct(
        private Identity $identity,
        private Rooms $rooms,
        private Presence $presence,
        private Tickets $tickets,
    ) {
    }

    public static function fromEnvironment(): self
    {
        return new self(
            Identity::fromEnvironment(),
            Rooms::fromEnvironment(),
            Presence::fromEnvironment(),
            Tickets::fromEnvironment(),
        );
    }

    public function answer(Request $request): Response
    {
        try {
            return $this->route($request);
        } catch (Refusal $refusal) {
            return new Response(
                $refusal->status,
                ['error' => $refusal->getMessage()] + $this->servedBy(),
                $refusal->headers,
            );
        }
    }

    private function route(Request $request): Response
    {
        $methods = null;
        foreach ($this->routes() as $pattern => $found) {
            if (preg_match("#^$pattern$#D", $request->path, $matches)) {
                $methods = $found;
                break;
            }
        }
        if ($methods === null) {
            throw new Refusal(404, 'no such page; GET / lists them');
        }
        $method = $request->method === 'HEAD' ? 'GET' : $request->method;
        if (!isset($methods[$method])) {
            $allowed = implode(', ', array_keys($methods));
            throw new Refusal(405, "allowed here: $allowed", ['Allow' => $allowed]);
        }

        return $methods[$method]($request, $matches['room'] ?? '');
    }

    /** @return array<string, array<string, callable(Request, string): Response>> */
    private function routes(): array
    {
        $room = '/rooms/(?<room>[a-z0-9-]{1,40})';

        return [
            '/' => ['GET' => $this->index(...)],
            '/health' => ['GET' => $this->health(...)],
            '/session' => [
                'GET' => $this->session(...),
                'PUT' => $this->signIn(...),
                'DELETE' => $this->signOut(...),
            ],
            '/rooms' => ['GET' => $this->rooms(...)],
            $room => ['GET' => $this->room(...)],
            "$room/ticket" => ['POST' => $this->ticket(...)],
        ];
    }

    private function index(): Response
    {
        return new Response(200, get_object_vars($this->identity) + [
            'pages' => [
                'GET /health', 'GET /session', 'PUT /session', 'DELETE /session', 'GET /rooms',
                'GET /rooms/{room}', 'POST /rooms/{room}/ticket',
                'WebSocket /live/{room}?ticket={ticket}',
            ],
        ]);
    }

    private function health(): Response
    {
        return new Health($this->tickets)->answer();
    }

    private function session(): Response
    {
        return $this->ok(['session' => Session::visit($this->identity)]);
    }

    private function signIn(Request $request): Response
    {
        $name = $request->json()['name'] ?? null;
        if (!is_string($name) || !preg_match('/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,39}$/Du', $name)) {
            throw new Refusal(422, 'name must be 1 to 40 letters, digits, spaces, dots and hyphens');
        }

        return $this->ok(['session' => Session::signIn($this->identity, $name)]);
    }

    private function signOut(): Response
    {
        Session::forget();

        return $this->ok(['session' => null]);
    }

    private function rooms(): Response
    {
        return $this->ok(['rooms' => array_map($this->describe(...), $this->rooms->all())]);
    }

    private function room(Request $request, string $room): Response
    {
        return $this->ok($this->describe($room));
    }

    private function ticket(Request $request, string $room): Response
    {
        $live = $this->rooms->describe($room)['live'];
        $ticket = $this->tickets->issue($room, Session::name());

        return $this->ok(['ticket' => $ticket, 'live' => "$live?ticket=$ticket"]);
    }

    /** @return array<string, mixed> */
    private function describe(string $room): array
    {
        return $this->rooms->describe($room) + ['present' => $this->presence->in($room)];
    }

    /** @param array<string, mixed> $data */
    private function ok(array $data): Response
    {
        return new Response(200, $data + $this->servedBy());
    }

    /** @return array<string, mixed> */
    private function servedBy(): array
    {
        return ['served_by' => get_object_vars($this->identity)];
    }
}
