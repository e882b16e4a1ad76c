"""A request to the blob service: its target, its operation, and the data action that it needs.

Pure. Operations that are not in the tables, and features that the lab does not model (versions,
signatures), are refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.azure.arm.errors import AzureError, not_modelled
from lab.azure.identity import roles
from lab.azure.storage.resource_types import STORAGE_SUFFIX

_BLOB = {
    ("GET", ""): roles.BLOB_READ,
    ("HEAD", ""): roles.BLOB_READ,
    ("PUT", ""): roles.BLOB_WRITE,
    ("DELETE", ""): roles.BLOB_DELETE,
    ("PUT", "appendblock"): roles.BLOB_WRITE,
    ("PUT", "block"): roles.BLOB_WRITE,
    ("GET", "blocklist"): roles.BLOB_READ,
    ("PUT", "blocklist"): roles.BLOB_WRITE,
    ("PUT", "copy"): roles.BLOB_WRITE,
    ("PUT", "lease"): roles.BLOB_WRITE,
    ("GET", "metadata"): roles.BLOB_READ,
    ("HEAD", "metadata"): roles.BLOB_READ,
    ("PUT", "metadata"): roles.BLOB_WRITE,
    ("PUT", "page"): roles.BLOB_WRITE,
    ("GET", "pagelist"): roles.BLOB_READ,
    ("PUT", "properties"): roles.BLOB_WRITE,
    ("PUT", "snapshot"): roles.BLOB_WRITE,
    ("PUT", "tier"): roles.BLOB_WRITE,
}
_CONTAINER = {
    ("GET", "list"): roles.BLOB_READ,
    ("GET", ""): roles.CONTAINER_READ,
    ("HEAD", ""): roles.CONTAINER_READ,
    ("GET", "metadata"): roles.CONTAINER_READ,
    ("HEAD", "metadata"): roles.CONTAINER_READ,
    ("PUT", "metadata"): roles.CONTAINER_WRITE,
    ("PUT", "lease"): roles.CONTAINER_WRITE,
}
_UNMODELLED_QUERIES = {
    "sig": "shared access signatures",
    "versionid": "blob versions",
    "deletetype": "permanent deletion",
}
_UNMODELLED_LISTS = frozenset(
    {"versions", "deleted", "deletedwithversions", "immutabilitypolicy", "legalhold"}
)
_UNMODELLED_HEADERS = {
    "x-ms-encryption-key": "customer-provided keys",
    "x-ms-encryption-scope": "encryption scopes",
    "x-ms-immutability-policy-mode": "immutability policies",
    "x-ms-legal-hold": "legal holds",
    "x-ms-copy-source-authorization": "copy sources with an authorization of their own",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """``blob`` is still percent-encoded, because the signature covers the encoding."""

    account: str
    container: str
    blob: str

    @property
    def path(self) -> str:
        return f"/{self.container}/{self.blob}" if self.blob else f"/{self.container}"


@dataclass(frozen=True, kw_only=True)
class BlobRequest:
    """``action`` is the data action that the caller must be allowed on the target's container."""

    method: str
    target: Target
    query: str
    """As sent, without the question mark."""
    action: str
    is_list: bool
    copy_source: Target | None


def parse(*, host: str, method: str, raw_path: str, headers: Mapping[str, str]) -> BlobRequest:
    """Raises AzureError for what the lab does not model, and for other requests than for blobs."""
    path, _, query = raw_path.partition("?")
    parameters = {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    _refuse_unmodelled(parameters, headers)
    target = _target(host.removesuffix(STORAGE_SUFFIX), path)
    comp = parameters.get("comp", "").lower()
    if not target.container:
        raise not_modelled(f"the blob service operation {method} comp={comp or '(none)'}")
    is_container = not target.blob and parameters.get("restype", "").lower() == "container"
    if not is_container and not target.blob:
        raise AzureError("ResourceNotFound", "The container $root does not exist.", 404)
    action = (_CONTAINER if is_container else _BLOB).get((method, comp))
    if action is None:
        kind = "container" if is_container else "blob"
        raise not_modelled(
            f"the {kind} operation {method} comp={comp or '(none)'}"
            + (" (containers are made and deleted through ARM)" if is_container else "")
        )
    return BlobRequest(
        method=method,
        target=target,
        query=query,
        action=action,
        is_list=is_container and comp == "list",
        copy_source=_copy_source(headers, comp),
    )


def _target(account: str, path: str) -> Target:
    container, _, blob = path.lstrip("/").partition("/")
    # "/container//" is the blob named "/", which the registry requests.
    return Target(account=account.lower(), container=unquote(container), blob=blob)


def _refuse_unmodelled(parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
    for name, what in _UNMODELLED_QUERIES.items():
        if name in parameters:
            raise not_modelled(f"{what} (query parameter {name})")
    for name, what in _UNMODELLED_HEADERS.items():
        if headers.get(name):
            raise not_modelled(f"{what} (header {name})")
    asked = {part.strip().lower() for part in parameters.get("include", "").split(",")}
    if refused := sorted(asked & _UNMODELLED_LISTS):
        raise not_modelled(f"listing with include={','.join(refused)}")


def _copy_source(headers: Mapping[str, str], comp: str) -> Target | None:
    url = headers.get("x-ms-copy-source")
    if url is None:
        return None
    if comp or headers.get("x-ms-blob-type"):
        raise not_modelled("putting a blob or block from a URL (only Copy Blob)")
    parts = urlsplit(url)
    if parts.query:
        raise not_modelled("copy sources with a query (snapshots, signatures)")
    if not parts.hostname or not parts.hostname.endswith(STORAGE_SUFFIX):
        raise not_modelled(f"copy sources outside the lab's storage ({parts.hostname})")
    return _target(parts.hostname.removesuffix(STORAGE_SUFFIX), parts.path)
