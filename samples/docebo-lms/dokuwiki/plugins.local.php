<?php

// What would call home, or change an image that does not change.

$plugins['extension'] = 0;
$plugins['popularity'] = 0;
$plugins['config'] = 0;
$plugins['styling'] = 0;
$plugins['authad'] = 0;
$plugins['authldap'] = 0;
$plugins['authpdo'] = 0;
