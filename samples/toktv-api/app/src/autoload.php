<?php

declare(strict_types=1);

// The class Toktv\Name is in Name.php in this folder.
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Toktv\\')) {
        require __DIR__ . '/' . str_replace('\\', '/', substr($class, 6)) . '.php';
    }
});
