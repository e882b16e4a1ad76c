"""The HTTP API of the simulated Azure: the resource manager for Pulumi, and the lab's own calls."""
