"""Azure Load Balancer: a separate process in the host's network.

It forwards connections to public (loopback) addresses to healthy VMs, as its file configures it.
"""
