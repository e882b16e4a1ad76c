<?php

// DokuWiki opens a session for every visitor. For visitors without a session who only read, this
// session is not stored: health checks and crawlers would fill the tmpfs with thousands of sessions.

if (
    PHP_SAPI !== 'cli'
    && $_SERVER['REQUEST_METHOD'] === 'GET'
    && !isset($_COOKIE['DokuWiki'])
    && !isset($_GET['do'])
    && session_status() === PHP_SESSION_NONE
) {
    header_register_callback(static fn () => header_remove('Set-Cookie'));
    session_set_save_handler(new class implements SessionHandlerInterface {
        public function open(string $path, string $name): bool
        {
            return true;
        }

        public function close(): bool
        {
            return true;
        }

        public function read(string $id): string
        {
            return '';
        }

        public function write(string $id, string $data): bool
        {
            return true;
        }

        public function destroy(string $id): bool
        {
            return true;
        }

        public function gc(int $max_lifetime): int
        {
            return 0;
        }
    });
}
