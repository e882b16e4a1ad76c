"""The resource types of Microsoft.Storage, and how the blob service is addressed."""

from lab.azure.arm.resource_types import GROUP_ID, AutoName, resource_type

ACCOUNT = "azure-native:storage:StorageAccount"
CONTAINER = "azure-native:storage:BlobContainer"
BLOB_SERVICE = "azure-native:storage:BlobServiceProperties"
MANAGEMENT_POLICY = "azure-native:storage:ManagementPolicy"
BLOB = "azure-native:storage:Blob"

LIST_ACCOUNT_KEYS = "azure-native:storage:listStorageAccountKeys"

STORAGE_SUFFIX = ".blob.core.windows.net"
"""What follows the account's name in the host name of its blobs."""

STORAGE_AUDIENCE = "https://storage.azure.com"
"""What a token must be for."""

_ACCOUNT_ID = f"{GROUP_ID}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_CONTAINER_ID = f"{_ACCOUNT_ID}/blobServices/default/containers/{{containerName}}"
_API_VERSION = "2024-01-01"

TYPES = (
    resource_type(
        ACCOUNT,
        "Microsoft.Storage/storageAccounts",
        _ACCOUNT_ID,
        _API_VERSION,
        replace_on=("isHnsEnabled", "immutableStorageWithVersioning"),
    ),
    resource_type(
        CONTAINER,
        "Microsoft.Storage/storageAccounts/blobServices/containers",
        _CONTAINER_ID,
        _API_VERSION,
        autoname=AutoName.COPY,
        located=False,
    ),
    resource_type(
        BLOB_SERVICE,
        "Microsoft.Storage/storageAccounts/blobServices",
        f"{_ACCOUNT_ID}/blobServices/{{blobServicesName}}",
        _API_VERSION,
        autoname=AutoName.COPY,
        located=False,
    ),
    resource_type(
        MANAGEMENT_POLICY,
        "Microsoft.Storage/storageAccounts/managementPolicies",
        f"{_ACCOUNT_ID}/managementPolicies/{{managementPolicyName}}",
        _API_VERSION,
        autoname=AutoName.COPY,
        located=False,
    ),
    resource_type(
        BLOB,
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs",
        f"{_CONTAINER_ID}/blobs/{{blobName}}",
        "",
        autoname=AutoName.COPY,
        replace_on=("source", "contentMd5", "type"),
        write_only=("source",),
        located=False,
    ),
)
