"""The platform on every node: registry, router."""
