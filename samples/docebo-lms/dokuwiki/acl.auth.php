# acl.auth.php
# <?php exit()?>
# 1: read; 8: read, write, create pages, upload
*  @ALL   1
*  @user  8
