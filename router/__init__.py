"""The router's agent: it configures nginx from etcd.

It starts nginx. After every change below /services it lets confd render a new configuration,
reloads nginx, checks that the workers run it, and reports the etcd index that it has applied.
When etcd does not answer, the configuration in use stays.
"""
