"""What the cloud's process is told by its environment, and where it keeps its state."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Environment:
    api_token: str
    """LAB_API_TOKEN: what callers of the API must show."""

    node_image: str
    """LAB_NODE_IMAGE: reference of the image that machines boot from."""

    azurite_url: str
    """LAB_AZURITE_URL: where blobs are kept, e.g. ``http://fleet-lab-azurite:10000``."""

    azurite_account: str
    """LAB_AZURITE_ACCOUNT: the one account there."""

    azurite_key: str
    """LAB_AZURITE_KEY: its key, base64."""

    container: str
    """LAB_CONTAINER: the container this process runs in (default ``fleet-lab-cloud``); it joins
    every virtual network."""

    state: Path
    """LAB_STATE: the folder for everything that must survive (default ``/var/lib/lab``)."""

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
