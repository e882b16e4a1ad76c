"""Azure Load Balancer: a process of its own, in the host's network.

It forwards connections to public (loopback) addresses to healthy VMs, as its file configures it.
"""
