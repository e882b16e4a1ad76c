"""What a stack may not say: refusals, at preview."""
