<?php

// 200 if this instance can show its start page and write what it must.

declare(strict_types=1);

const NOSESSION = true;
const DOKU_INC = '/usr/share/dokuwiki/';
require DOKU_INC . 'inc/init.php';

$problem = match (true) {
    !page_exists('start') => 'the start page is missing',
    @file_put_contents($conf['tmpdir'] . '/health', 'x') !== 1 => 'nothing can be written',
    default => null,
};
http_response_code($problem === null ? 200 : 503);
header('Content-Type: application/json');
header('Cache-Control: no-store');
echo json_encode([
    'healthy' => $problem === null,
    'problem' => $problem,
    'customer' => getenv('CUSTOMER'),
    'instance' => getenv('INSTANCE'),
    'node' => getenv('NODE_NAME'),
    'release' => getenv('RELEASE'),
    'version' => getenv('VERSION'),
]), "\n";
