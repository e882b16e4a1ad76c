"""The cloud-config that makes a Flatcar machine a node."""

import re
from dataclasses import dataclass

import pulumi

from components.artefacts import Artefacts
from components.templates import ROOT, render

BOOT_SCRIPTS = ("azure-token", "fetch-blob", "node-env", "node-bundle")
"""The scripts that must be there before the bundle, which brings all others."""
MAX_BYTES = 65_535
"""Azure: custom data is at most 64 KB before base64."""


@dataclass(kw_only=True, frozen=True)
class NodeConfigArgs:
    """What nodes of one cluster are told. Nothing secret: every user of the machine can read it."""

    cluster_name: str
    cluster_size: int
    artefacts: Artefacts
    artefacts_account: pulumi.Input[str]
    data_account: pulumi.Input[str]
    identity_client_id: pulumi.Input[str]
    vault_url: pulumi.Input[str]


def cloud_config(args: NodeConfigArgs) -> pulumi.Output[str]:
    """The text of custom data."""
    return pulumi.Output.all(
        artefacts_account=args.artefacts_account,
        data_account=args.data_account,
        identity_client_id=args.identity_client_id,
        vault_url=args.vault_url,
    ).apply(
        lambda known: rendered(
            cluster_name=args.cluster_name,
            cluster_size=args.cluster_size,
            bundle_blob=args.artefacts.bundle.blob_name,
            bundle_sha256=args.artefacts.bundle.sha256,
            cluster_image_sha256=args.artefacts.images["cluster"].sha256,
            artefacts_url=f"https://{known.pop('artefacts_account')}.blob.core.windows.net/nodes",
            **known,
        )
    )


def rendered(**values: object) -> str:
    """The text for plain values. ValueError if Azure or coreos-cloudinit would not take it."""
    scripts = {name: (ROOT / "cloud-config" / "bin" / name).read_text() for name in BOOT_SCRIPTS}
    text = render("cloud-config/cloud-config.yaml", boot_scripts=scripts, **values)
    if not text.startswith("#cloud-config\n"):
        raise ValueError("the cloud-config must start with the line #cloud-config")
    if (size := len(text.encode())) > MAX_BYTES:
        raise ValueError(f"the cloud-config has {size} bytes; Azure takes at most {MAX_BYTES}")
    if found := re.search(r"\$(public|private)_ipv[46]", text):
        # coreos-cloudinit replaces these everywhere, also in scripts
        raise ValueError(f"the cloud-config must not hold {found[0]}")
    return text
