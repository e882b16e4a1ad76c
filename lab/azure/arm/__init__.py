"""Azure Resource Manager: what all resource types share, and the store."""
