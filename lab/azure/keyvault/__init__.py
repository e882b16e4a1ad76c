"""Microsoft.KeyVault, with the vault service."""
