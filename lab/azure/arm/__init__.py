"""Azure Resource Manager: ids, types, references, operations, the store."""
