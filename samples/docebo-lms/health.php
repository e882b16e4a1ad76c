<?php

// Answers 200 if this instance can show its start page and write its files.

declare(strict_types=1);

const NOSESSION = true;
const DOKU_INC = '/usr/share/dokuwiki/';
require DOKU_INC . 'inc/init.php';

// A new file: an existing one may have room even if the tmpfs is full.
$file = $conf['tmpdir'] . '/' . uniqid('health');
$written = @file_put_contents($file, 'x');
@unlink($file);

$problem = match (true) {
    !page_exists('start') => 'the start page is missing',
    $written !== 1 => 'nothing can be written',
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
