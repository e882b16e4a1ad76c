"""Azure's data plane in the lab: metadata, names, storage and vault, behind tokens and roles.

The control plane (lab.azure) starts it (plane.py) in its own process, with its own store.
"""
