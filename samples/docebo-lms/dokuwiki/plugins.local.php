<?php

// Disables plugins that contact other hosts or change files of the image.

$plugins['extension'] = 0;
$plugins['popularity'] = 0;
$plugins['config'] = 0;
$plugins['styling'] = 0;
$plugins['authad'] = 0;
$plugins['authldap'] = 0;
$plugins['authpdo'] = 0;
