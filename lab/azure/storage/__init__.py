"""Microsoft.Storage: accounts and their blob service."""
