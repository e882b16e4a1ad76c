"""The cluster as `status` prints it."""
