"""nginx as a process: start, reload, quit, and the ports and headers of its configuration."""
