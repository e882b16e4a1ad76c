"""One module a measurement. Each finds the stack up, and leaves it so for the next."""
