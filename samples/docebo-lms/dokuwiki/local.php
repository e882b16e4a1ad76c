<?php

// The platform's settings, which override DokuWiki's defaults. start-lms has checked the environment.

$conf['title'] = getenv('TITLE');
$conf['tagline'] = 'Courses for everyone at ' . getenv('CUSTOMER');
$conf['lang'] = getenv('LANGUAGE');
$conf['savedir'] = getenv('STATE') . '/wiki';
$conf['license'] = '';

// everyone may read; signed-in users may write
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['disableactions'] = 'register,resendpwd,profile,profile_delete,subscribe';

$conf['userewrite'] = 1;
$conf['useslash'] = 1;
$conf['useheading'] = 1;
$conf['send404'] = 1;
$conf['breadcrumbs'] = 0;
$conf['youarehere'] = 1;
// without this, saving a page would wait for a name server that does not answer
$conf['dnslookups'] = 0;
// DokuWiki logs to files, which would be in memory here; PHP's errors are in the container's log
$conf['dontlog'] = 'debug,deprecated,error';
