# shellcheck shell=sh
# login shells only, as on Flatcar: units and `ssh host command` must use absolute paths
PATH="$PATH:/opt/bin"
