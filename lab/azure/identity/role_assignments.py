"""Microsoft.Authorization: role assignments. `roles` decides what they allow."""

import time
import uuid

from lab.azure.arm.errors import AzureError
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.store import Resource
from lab.azure.arm.subscription import DEPLOYER_OBJECT_ID, SUBSCRIPTION_ID
from lab.azure.identity.resource_types import IDENTITY, ROLE_ASSIGNMENT
from lab.azure.identity.roles import ROLES

# Entra takes seconds to minutes to replicate a new identity. Until then, Azure accepts only an
# assignment with a principalType. On Azure this is a race; here a program without principalType
# always loses it.
REPLICATION_SECONDS = 60.0

_DEFINITION = "/providers/Microsoft.Authorization/roleDefinitions/"
_PRINCIPAL_TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")


class RoleAssignmentKind(Kind):
    token = ROLE_ASSIGNMENT
    properties = Properties(
        modelled=frozenset(
            {"scope", "roleAssignmentName", "roleDefinitionId", "principalId", "principalType"}
        ),
        inert={"description": "a note for people"},
    )

    def check(self, request: Request) -> None:
        _check_guid(request.name, "InvalidRoleAssignmentId", "The role assignment ID")
        principal = str(request.inputs.get("principalId", ""))
        _check_guid(principal, "InvalidPrincipalId", "The principal ID")
        self._check_role(str(request.inputs.get("roleDefinitionId", "")))
        self._check_principal(principal, request.inputs.get("principalType"))
        self._refuse_duplicate(request)

    async def write(self, request: Request) -> Answer:
        made = request.before.private["createdAt"] if request.before else time.time()
        role = _guid(request.inputs["roleDefinitionId"])
        outputs = {
            "scope": request.inputs["scope"],
            "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION_ID}{_DEFINITION}{role}",
            "principalType": request.inputs.get("principalType")
            or self._type_of(request.inputs["principalId"]),
        }
        return Answer(outputs=outputs, private={"createdAt": made})

    def _check_role(self, definition: str) -> None:
        if _DEFINITION.lower() not in definition.lower():
            message = f"'{definition}' is not the full id of a role definition "
            message += f"(/subscriptions/…{_DEFINITION}<guid>)."
            raise AzureError("InvalidRoleDefinitionId", message)
        if _guid(definition) not in ROLES:
            message = f"The specified role definition with ID '{_guid(definition)}' does not "
            message += "exist, or it is one that the lab does not model."
            raise AzureError("RoleDefinitionDoesNotExist", message, 404)

    def _check_principal(self, principal: str, principal_type: str | None) -> None:
        """Any other id counts as a user of the tenant; identities must exist."""
        if principal_type is not None and principal_type not in _PRINCIPAL_TYPES:
            message = f"The principal type '{principal_type}' is not one of {_PRINCIPAL_TYPES}."
            raise AzureError("InvalidPrincipalType", message)
        actual = self._type_of(principal)
        if actual != "ServicePrincipal" and principal_type == "ServicePrincipal":
            message = f"Principal {principal} does not exist in the directory."
            raise AzureError("PrincipalNotFound", message)
        if actual == "ServicePrincipal" and principal_type not in (None, actual):
            message = f"The PrincipalId '{principal}' has type 'ServicePrincipal', which is "
            message += f"different from the specified '{principal_type}'."
            raise AzureError("UnmatchedPrincipalType", message)
        identity = self._identity(principal)
        if identity is not None and principal_type is None:
            age = time.time() - float(identity.private["createdAt"])
            if age < REPLICATION_SECONDS:
                message = f"Principal {principal} does not exist in the directory. It was made "
                message += "just now; set principalType to ServicePrincipal."
                raise AzureError("PrincipalNotFound", message)

    def _type_of(self, principal: str) -> str:
        is_program = principal.lower() == DEPLOYER_OBJECT_ID or self._identity(principal)
        return "ServicePrincipal" if is_program else "User"

    def _identity(self, principal: str) -> Resource | None:
        for identity in self.store.list(IDENTITY):
            if identity.outputs["principalId"].lower() == principal.lower():
                return identity
        return None

    def _refuse_duplicate(self, request: Request) -> None:
        wanted = _triple(request.inputs)
        for other in self.store.list(ROLE_ASSIGNMENT):
            if other.id.lower() != request.id.lower() and _triple(other.inputs) == wanted:
                message = f"The role assignment already exists. The ID is {other.name}."
                raise AzureError("RoleAssignmentExists", message, 409)


def _triple(inputs: dict[str, str]) -> tuple[str, str, str]:
    scope, principal = inputs["scope"].lower().rstrip("/"), inputs["principalId"].lower()
    return scope, _guid(inputs["roleDefinitionId"]), principal


def _guid(definition: str) -> str:
    return definition.rsplit("/", 1)[-1].lower()


def _check_guid(text: str, code: str, what: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError as error:
        raise AzureError(code, f"{what} '{text}' is not valid: it must be a GUID.") from error
