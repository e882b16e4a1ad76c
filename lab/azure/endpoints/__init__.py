"""Where VMs and the developer reach Azure: the TLS front, DNS, the metadata service, and the
certificates and callers behind them.
"""
