"""The lab's one tenant, its one subscription, and the service principal that runs `pulumi up`.

The deployer is no user, so that a program that takes every principal for a user is refused.
"""

TENANT_ID = "7e4a0000-1ab0-4000-8000-000000000001"
SUBSCRIPTION_ID = "5ab50000-1ab0-4000-8000-000000000002"
DEPLOYER_OBJECT_ID = "de910000-1ab0-4000-8000-000000000003"
DEPLOYER_CLIENT_ID = "c11e0000-1ab0-4000-8000-000000000004"
