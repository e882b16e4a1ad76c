"""Microsoft.Compute, with the metadata service."""
