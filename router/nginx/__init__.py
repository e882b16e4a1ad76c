"""nginx as a process: start, reload, quit, and what it may bind."""
