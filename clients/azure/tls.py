"""The certificate authorities that programs on a node trust: those of the node."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

# The node's bundle is mounted here: certificates that were added to a node are in it. On Flatcar it
# is a link into /usr/share/ca-certificates, which is mounted, too.
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def trust() -> ssl.SSLContext:
    """For clients of Azure's storage and vaults. SSL_CERT_FILE replaces the bundle.

    Raises FileNotFoundError without a bundle: no server could be trusted.
    """
    context = ssl.create_default_context()
    if "SSL_CERT_FILE" not in os.environ:
        context.load_verify_locations(cafile=_CA_BUNDLE)
    return context
