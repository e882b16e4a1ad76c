"""Microsoft.ManagedIdentity: identities of VMs."""

import time
import uuid

from lab.azure.arm import naming
from lab.azure.arm.kinds import Answer, Kind, Request
from lab.azure.arm.properties import Properties
from lab.azure.arm.subscription import TENANT_ID
from lab.azure.identity.resource_types import IDENTITY


class IdentityKind(Kind):
    token = IDENTITY
    properties = Properties(
        modelled=frozenset({"resourceGroupName", "resourceName", "location", "tags.*"})
    )

    def check(self, request: Request) -> None:
        naming.IDENTITY.check(request.name)

    async def write(self, request: Request) -> Answer:
        if request.before:
            kept = ("clientId", "principalId", "tenantId")
            outputs = {key: request.before.outputs[key] for key in kept}
            return Answer(outputs=outputs, private=request.before.private)
        ids = {"clientId": str(uuid.uuid4()), "principalId": str(uuid.uuid4())}
        return Answer(outputs={**ids, "tenantId": TENANT_ID}, private={"createdAt": time.time()})
