"""The real Pulumi engine: its stacks, config, secrets and recovery."""
