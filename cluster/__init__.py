"""The program that runs on the cluster: bootstrap of etcd, rollouts, removal, status.

It runs on nodes, from the cluster image, with the standard library and httpx only.
It works with etcd, fleet, the registry and the routers' reports; it knows nothing of Pulumi.
"""
