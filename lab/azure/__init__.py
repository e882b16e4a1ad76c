"""The simulated Azure: one process that answers like Azure's APIs and runs the VMs."""
