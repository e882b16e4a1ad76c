"""The rules by which preview refuses a configuration."""
