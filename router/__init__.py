"""The agent inside the router's container: it keeps nginx serving what etcd says.

It starts nginx, lets confd render the configuration after every change below /services, reloads,
verifies that the workers really run it, and announces in etcd how far it has come.
It must never take away a configuration that works because etcd does not answer.
"""
