"""Whom programs on a node believe: the system's certificate authorities, which are the node's."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

# The node's bundle is mounted here: certificates that were added to a node are in it. On Flatcar it
# is a link into /usr/share/ca-certificates, which is mounted, too.
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def trust() -> ssl.SSLContext:
    """For clients of Azure's storage and vaults. SSL_CERT_FILE takes the bundle's place.

    Raises FileNotFoundError without a bundle: nobody would be believed.
    """
    context = ssl.create_default_context()
    if "SSL_CERT_FILE" not in os.environ:
        context.load_verify_locations(cafile=_CA_BUNDLE)
    return context
