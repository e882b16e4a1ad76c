<?php

// The platform's settings, on top of DokuWiki's defaults. start-lms has checked the environment.

$conf['title'] = getenv('TITLE');
$conf['tagline'] = 'Courses for everyone at ' . getenv('CUSTOMER');
$conf['lang'] = getenv('LANGUAGE');
$conf['savedir'] = getenv('STATE') . '/wiki';
$conf['license'] = '';

// everyone may read; whoever signs in may write
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['disableactions'] = 'register,resendpwd,profile,profile_delete,subscribe';

$conf['userewrite'] = 1;
$conf['useslash'] = 1;
$conf['useheading'] = 1;
$conf['send404'] = 1;
$conf['breadcrumbs'] = 0;
$conf['youarehere'] = 1;
// a name server that is away would hold up whoever saves a page
$conf['dnslookups'] = 0;
// its logs are files, which would lie in memory here; PHP's own errors are in the container's log
$conf['dontlog'] = 'debug,deprecated,error';
