"""The simulated Azure: one process that answers as Azure's APIs would, and runs the machines."""
