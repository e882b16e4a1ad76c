"""Renders the cloud-config, units and requests. Pure: it creates no resources."""
