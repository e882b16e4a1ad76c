"""The nodes' managed identity, and all role assignments.

A role assignment takes effect after minutes, so code that needs a role retries on 403.
"""

import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, managedidentity

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"

UNSPECIFIED = pulumi.Output.from_input(None)
"""Lets Azure detect whether the principal is a person, a group or a pipeline. An omitted property
would get the SDK's default, User (Azure/azure-rest-api-specs#21664)."""


@dataclass(kw_only=True, frozen=True)
class IdentityArgs:
    resource_group_name: pulumi.Input[str]
    subscription_id: pulumi.Input[str]
    deployer_id: pulumi.Input[str]
    """Object id of the identity that runs this program."""
    deployers: Sequence[str]
    """Object ids of all deployers. Empty: only `deployer_id`."""
    developers: Sequence[str]
    """Object ids of the developers, who may push images."""
    nodes_container: pulumi.Input[str]
    registry_container: pulumi.Input[str]
    cluster_container: pulumi.Input[str]
    backups_container: pulumi.Input[str]
    vault_id: pulumi.Input[str]


@dataclass(kw_only=True, frozen=True)
class Grant:
    """One role for one principal on one resource."""

    name: str
    scope: pulumi.Input[str]
    role: str
    principal_id: pulumi.Input[str]
    principal_type: pulumi.Input[authorization.PrincipalType | None]
    formerly: str | None = None
    """Another name that this grant may have in the state."""
    after: str | None = None
    """The name of a grant that must exist first."""


class Identity(pulumi.ComponentResource):
    """Outputs: `identity_id` (of the resource), `client_id` (nodes request tokens with it),
    `principal_id` (roles are assigned to it).
    """

    identity_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("fleet:index:Identity", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        nodes = managedidentity.UserAssignedIdentity(
            f"{name}-nodes",
            resource_group_name=args.resource_group_name,
            opts=child,
        )
        assignments: dict[str, pulumi.Resource] = {}
        for grant in grants(args, nodes.principal_id):
            assignments[grant.name] = authorization.RoleAssignment(
                f"{name}-{grant.name}",
                role_assignment_name=assignment_name(grant),
                scope=grant.scope,
                # the full id, as in Azure's answer; otherwise they would differ
                role_definition_id=pulumi.Output.concat(
                    "/subscriptions/",
                    args.subscription_id,
                    f"/providers/Microsoft.Authorization/roleDefinitions/{grant.role}",
                ),
                principal_id=grant.principal_id,
                principal_type=grant.principal_type,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    aliases=grant.formerly and [pulumi.Alias(name=f"{name}-{grant.formerly}")],
                    delete_before_replace=grant.formerly is not None,
                    depends_on=[assignments[grant.after]] if grant.after else None,
                ),
            )

        self.identity_id = nodes.id
        self.client_id = nodes.client_id
        self.principal_id = nodes.principal_id
        self.register_outputs({"identity_id": self.identity_id, "client_id": self.client_id})


def grants(args: IdentityArgs, nodes: pulumi.Input[str]) -> list[Grant]:
    """The table of role assignments. Nodes can read images but not change them, so an attacker on a
    node can't plant an image.
    """
    of_nodes = [
        ("read-artefacts", args.nodes_container, BLOB_READER),
        ("read-registry", args.registry_container, BLOB_READER),
        ("write-cluster", args.cluster_container, BLOB_CONTRIBUTOR),
        ("write-backups", args.backups_container, BLOB_CONTRIBUTOR),
        ("read-secrets", args.vault_id, SECRETS_USER),
    ]
    return [
        *(
            Grant(
                name=f"nodes-{name}",
                scope=scope,
                role=role,
                principal_id=nodes,
                # without the type, Azure looks up the identity, which may not be replicated yet
                principal_type=authorization.PrincipalType.SERVICE_PRINCIPAL,
            )
            for name, scope, role in of_nodes
        ),
        *(
            Grant(
                name=f"push-{developer}",
                scope=args.registry_container,
                role=BLOB_CONTRIBUTOR,
                principal_id=developer,
                principal_type=UNSPECIFIED,
            )
            for developer in args.developers
        ),
        *_of_deployers(args),
    ]


def _of_deployers(args: IdentityArgs) -> list[Grant]:
    """Grants for deployers, who delete secrets through the vault's data plane.

    Without a list, the grant is for the identity that runs the program; another identity replaces
    it. With a list, the first deployer inherits that grant. The old grant may have been for another
    deployer, and Azure refuses a second grant for the same identity. So it is deleted first.
    """
    role = functools.partial(
        Grant, scope=args.vault_id, role=SECRETS_OFFICER, principal_type=UNSPECIFIED
    )
    former = "deployer-manage-secrets"
    if not args.deployers:
        return [role(name=former, principal_id=args.deployer_id)]
    first, *others = args.deployers
    name_of_first = f"deployer-{first}-manage-secrets"
    return [
        role(name=name_of_first, principal_id=first, formerly=former),
        *(
            role(name=f"deployer-{one}-manage-secrets", principal_id=one, after=name_of_first)
            for one in others
        ),
    ]


def assignment_name(grant: Grant) -> pulumi.Output[str]:
    """A GUID derived from the grant: Azure refuses a second name for the same assignment."""
    return pulumi.Output.concat(grant.scope, "|", grant.role, "|", grant.principal_id).apply(
        lambda text: str(uuid.uuid5(uuid.NAMESPACE_URL, text))
    )
