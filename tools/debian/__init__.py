"""Debian's packages: where they come from, and the lock of their versions."""
