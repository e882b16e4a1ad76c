"""I/O without decisions: etcd, fleet, registry, blob storage, Key Vault, managed identity."""
