<?php

// Runs the live channels of this instance until SIGTERM.

declare(strict_types=1);

use Toktv\Identity;
use Toktv\Live\Handshake;
use Toktv\Live\Server;
use Toktv\Presence;
use Toktv\Rooms;
use Toktv\Tickets;

require __DIR__ . '/src/autoload.php';

$server = new Server(
    Identity::fromEnvironment(),
    new Handshake(Rooms::fromEnvironment(), Tickets::fromEnvironment()),
    Presence::fromEnvironment(),
);
pcntl_async_signals(true);
pcntl_signal(SIGTERM, $server->stop(...));
$server->run();
