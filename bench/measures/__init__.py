"""One module a measurement. Each leaves the stack as it found it."""
