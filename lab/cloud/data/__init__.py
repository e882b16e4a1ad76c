"""Azure's data plane in the lab: metadata, names, storage and vault, with tokens and roles enforced.

The control plane (lab.cloud) starts it with `plane.start` in its own process and its own store.
"""
