"""Docker as Azure's hardware."""
