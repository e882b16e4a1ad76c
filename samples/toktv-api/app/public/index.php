<?php

declare(strict_types=1);

use Toktv\Application;
use Toktv\Request;

require __DIR__ . '/../src/autoload.php';

Application::fromEnvironment()->answer(Request::current())->send();
