"""The lab's Azure Load Balancer: a process of its own, in the host's network.

It forwards the public (loopback) addresses to healthy machines, as its configuration file says.
"""
