"""The settings of this process, from its environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Environment:
    api_token: str
    """LAB_API_TOKEN: what callers of the API must present."""

    node_image: str
    """LAB_NODE_IMAGE: the image that VMs boot from."""

    azurite_url: str
    """LAB_AZURITE_URL: the blob store, e.g. ``http://fleet-lab-azurite:10000``."""

    azurite_account: str
    """LAB_AZURITE_ACCOUNT: the blob store's only account."""

    azurite_key: str
    """LAB_AZURITE_KEY: its key, base64."""

    container: str
    """LAB_CONTAINER: the container of this process (default ``fleet-lab-cloud``), which joins every
    virtual network."""

    state: Path
    """LAB_STATE: the folder for what must survive a restart (default ``/var/lib/lab``)."""

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> "Environment":
        """Raises KeyError for a variable that is missing."""
        return cls(
            api_token=variables["LAB_API_TOKEN"],
            node_image=variables["LAB_NODE_IMAGE"],
            azurite_url=variables["LAB_AZURITE_URL"],
            azurite_account=variables["LAB_AZURITE_ACCOUNT"],
            azurite_key=variables["LAB_AZURITE_KEY"],
            container=variables.get("LAB_CONTAINER", "fleet-lab-cloud"),
            state=Path(variables.get("LAB_STATE", "/var/lib/lab")),
        )
