"""Microsoft.Compute: scale sets and their VMs."""
