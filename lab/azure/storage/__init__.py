"""Microsoft.Storage, with the blob service."""
