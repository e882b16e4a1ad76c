"""Azure's data planes, with the node's managed identity: blob storage, Key Vault."""
