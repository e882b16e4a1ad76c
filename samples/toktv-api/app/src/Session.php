<?php

declare(strict_types=1);

namespace Toktv;

/** A client's session, by cookie. It is stored in files of this instance only. */
final class Session
{
    private const string COOKIE = 'toktv';

    public static function folder(): string
    {
        return session_save_path() ?: sys_get_temp_dir();
    }

    /** The name of the signed-in client. @throws Refusal if the client has not signed in */
    public static function name(): string
    {
        $name = self::read()['name'] ?? null;
        if ($name === null) {
            throw new Refusal(401, 'sign in first: PUT /session {"name": "…"}');
        }

        return $name;
    }

    /** @return array{name: ?string, began_on: string, visits: int} */
    public static function visit(Identity $identity): array
    {
        return self::change(
            static fn (array $before): array => [
                'name' => $before['name'] ?? null,
                'began_on' => $before['began_on'] ?? $identity->instance,
                'visits' => ($before['visits'] ?? 0) + 1,
            ],
        );
    }

    /** @return array{name: ?string, began_on: string, visits: int} */
    public static function signIn(Identity $identity, string $name): array
    {
        self::visit($identity);

        return self::change(static fn (array $before): array => ['name' => $name] + $before);
    }

    public static function forget(): void
    {
        if (isset($_COOKIE[self::COOKIE])) {
            self::start();
            session_destroy();
            setcookie(self::COOKIE, '', ['expires' => 1, 'path' => '/']);
        }
    }

    /** @return array<string, mixed> empty without a session: reading must not create one */
    private static function read(): array
    {
        if (!isset($_COOKIE[self::COOKIE])) {
            return [];
        }
        self::start(['read_and_close' => true]);

        return $_SESSION;
    }

    /**
     * @param callable(array<string, mixed>): array<string, mixed> $update
     * @return array<string, mixed>
     */
    private static function change(callable $update): array
    {
        self::start();
        $_SESSION = $update($_SESSION);
        $now = $_SESSION;
        session_write_close(); // unlocks the file for the client's next request

        return $now;
    }

    /** @param array<string, mixed> $options */
    private static function start(array $options = []): void
    {
        session_name(self::COOKIE);
        session_start($options + ['cookie_secure' => isset($_SERVER['HTTPS'])]);
    }
}
