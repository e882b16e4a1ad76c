"""How a node without etcd data finds its place in the etcd cluster.

A record in blob storage, changed only under a lease, says who the first members are. `decide`
holds every rule and touches nothing; `run` looks, decides, acts, and looks again.
A node that has data starts with it and never runs this.
"""
