"""Request headers that claim where a request came from. Only the router may set them.

nginx drops them in every spelling, because PHP and WSGI do not distinguish X_Forwarded_For from
X-Forwarded-For. nginx/http.conf sets the router's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

# Set by nginx/http.conf, in this spelling.
WRITTEN = (
    "Host",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-Id",
)

# From RFC 7239 and RFC 9440, and from proxies, clouds and servers that set or read them:
# Akamai, Apache, Azure, Cloudflare, CloudFront, Envoy, Fastly, Fly, IIS, nginx, Traefik, WebLogic.
_NAMES = """
Forwarded Forwarded-For Forwarded-For-IP X-Forwarded X-Forward-For
X-Forwarded-By X-Forwarded-Client-Cert X-Forwarded-Client-IP X-Forwarded-For-Original
X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Method X-Forwarded-Path X-Forwarded-Prefix
X-Forwarded-Protocol X-Forwarded-Scheme X-Forwarded-Server X-Forwarded-Ssl
X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info X-Forwarded-Uri X-Forwarded-Url
X-Forwarded-User X-Forwarded-Preferred-Username
X-Original-For X-Original-Forwarded-For X-Original-Host X-Original-IP X-Original-Method
X-Original-Proto X-Original-Remote-Addr X-Original-URI X-Original-URL
X-Rewrite-URL X-Override-URL X-Originating-IP X-Host X-HTTP-Host-Override
X-Client-Cert X-Client-Host X-Client-IP X-Client-Port X-Cluster-Client-IP X-ProxyUser-IP
X-Real-Host X-Real-Port X-Real-Proto X-Remote-Addr X-Remote-Host X-Remote-IP X-Remote-Port
X-Source-IP X-True-IP X-True-Client-IP X-Scheme X-Url-Scheme
X-SSL-Client-Cert X-SSL-Client-Verify X-SSL-Client-DN SSL-Client-Cert SSL-Client-Verify
Client-Cert Client-Cert-Chain Client-IP Cluster-Client-IP Real-IP Remote-Addr Remote-Host
Remote-Port Front-End-Https HTTPS True-Client-IP
HTTP-Client-IP HTTP-Forwarded HTTP-Forwarded-For HTTP-X-Forwarded HTTP-X-Forwarded-For
Akamai-Client-IP CF-Connecting-IP CF-Connecting-IPv6 CF-Connecting-O2O CF-IPCountry
CF-Pseudo-IPv4 CF-Visitor CloudFront-Forwarded-Proto CloudFront-Viewer-Address
DO-Connecting-IP Fastly-Client-IP Fastly-SSL Fly-Client-IP Fly-Forwarded-Port
Fly-Forwarded-Proto Fly-Forwarded-Ssl Incap-Client-IP Proxy-Client-IP WL-Proxy-Client-IP
WL-Proxy-SSL X-AppEngine-Remote-Addr X-AppEngine-User-IP X-ARR-ClientCert X-ARR-SSL
X-Azure-ClientIP X-Azure-FDID X-Azure-SocketIP X-Nf-Client-Connection-IP X-Sucuri-ClientIP
X-Vercel-Forwarded-For X-Vercel-Proxied-For
X-Envoy-Decorator-Operation X-Envoy-Downstream-Service-Cluster X-Envoy-External-Address
X-Envoy-Internal X-Envoy-Original-Dst-Host X-Envoy-Original-Host X-Envoy-Original-Path
X-Envoy-Peer-Metadata X-Envoy-Peer-Metadata-Id
Proxy Proxy-Authorization
"""
DROPPED = tuple(_NAMES.split())


def configuration() -> str:
    """Lines for nginx's `http` block."""
    return "".join(f'proxy_set_header {name} "";\n' for name in sorted(_to_drop()))


def _to_drop() -> Iterator[str]:
    for name in (*WRITTEN, *DROPPED):
        for separators in product("-_", repeat=name.count("-")):
            spelling = "".join(map("".join, zip(name.split("-"), (*separators, ""), strict=True)))
            if spelling not in WRITTEN:
                yield spelling
