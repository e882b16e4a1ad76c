"""The cloud-config that makes a Flatcar machine a node."""

from dataclasses import dataclass

import pulumi

from components.rendering import custom_data
from components.rendering.artefacts import Artefacts
from components.rendering.templates import ROOT, render

BOOT_SCRIPTS = ("azure-token", "fetch-blob", "node-life", "node-env", "node-bundle")
"""The scripts that must exist before the bundle, which contains all others."""


@dataclass(kw_only=True, frozen=True)
class NodeConfigArgs:
    """The variables of the cloud-config. Nothing secret: every user on a node can read it."""

    cluster_name: str
    cluster_size: int
    artefacts: Artefacts
    artefacts_account: pulumi.Input[str]
    data_account: pulumi.Input[str]
    identity_client_id: pulumi.Input[str]
    vault_url: pulumi.Input[str]


def cloud_config(args: NodeConfigArgs) -> pulumi.Output[str]:
    """The text of custom data. RunError, even at preview, if a node could not boot from it."""

    def filled_in(known: dict[str, str]) -> str:
        return rendered(
            cluster_name=args.cluster_name,
            cluster_size=args.cluster_size,
            bundle_blob=args.artefacts.bundle.blob_name,
            bundle_sha256=args.artefacts.bundle.sha256,
            cluster_image_sha256=args.artefacts.images["cluster"].sha256,
            artefacts_url=f"https://{known['artefacts_account']}.blob.core.windows.net/nodes",
            data_account=known["data_account"],
            identity_client_id=known["identity_client_id"],
            vault_url=known["vault_url"],
        )

    outputs = {
        "artefacts_account": args.artefacts_account,
        "data_account": args.data_account,
        "identity_client_id": args.identity_client_id,
        "vault_url": args.vault_url,
    }
    # Before the first `up` these outputs are unknown, so placeholders are checked as well.
    filled_in(dict.fromkeys(outputs, "known-later"))
    return pulumi.Output.all(**outputs).apply(filled_in)


def rendered(**values: object) -> str:
    """The text for plain values. RunError if Azure or coreos-cloudinit would refuse it."""
    scripts = {name: (ROOT / "cloud-config" / "bin" / name).read_text() for name in BOOT_SCRIPTS}
    text = render("cloud-config/cloud-config.yaml", boot_scripts=scripts, **values)
    if problems := custom_data.problems(text.encode()):
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise pulumi.RunError(
            f"no node could boot from the cloud-config; nothing was changed:{lines}"
        )
    return text
