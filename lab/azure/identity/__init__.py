"""Microsoft.ManagedIdentity and Microsoft.Authorization, with tokens and roles."""
