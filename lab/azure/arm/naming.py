"""Azure's naming rules.

Source: "Naming rules and restrictions for Azure resources" in the Azure Resource Manager
documentation; the caller anchors the patterns.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.azure.arm.errors import AzureError


@dataclass(frozen=True, kw_only=True)
class NameRule:
    pattern: str
    words: str
    code: str = "InvalidResourceName"

    def check(self, name: str) -> None:
        if not re.fullmatch(self.pattern, name):
            raise AzureError(self.code, f"Resource name '{name}' is invalid: {self.words}.")


def _network(longest: int, shortest: int = 1) -> NameRule:
    """Microsoft.Network: alphanumerics, hyphens, periods, underscores."""
    middle = rf"(?=.{{{shortest},{longest}}}$)[a-zA-Z0-9]([\w.-]*\w)?"
    return NameRule(
        pattern=middle,
        words=f"{shortest}-{longest} letters, digits, '.', '_', '-'; starts with a letter or "
        "digit, ends with a letter, digit or underscore",
    )


RESOURCE_GROUP = NameRule(
    pattern=r"[-\w.()]{0,89}[-\w()]",
    words="1-90 letters, digits, '_', '-', '.', '(', ')'; does not end with a period",
    code="InvalidResourceGroup",
)
VIRTUAL_NETWORK = _network(64, shortest=2)
SUBNET = _network(80)
NETWORK_RESOURCE = _network(80)
DOMAIN_NAME_LABEL = NameRule(
    pattern=r"[a-z][a-z0-9-]{1,61}[a-z0-9]",
    words="a DNS label is 3-63 lower-case letters, digits and hyphens, starts with a letter",
    code="InvalidDomainNameLabel",
)
STORAGE_ACCOUNT = NameRule(
    pattern=r"[a-z0-9]{3,24}",
    words="3-24 lower-case letters and digits",
    code="AccountNameInvalid",
)
BLOB_CONTAINER = NameRule(
    pattern=r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*",
    words="3-63 lower-case letters, digits and single hyphens, no hyphen at either end",
    code="ContainerOperationFailure",
)
VAULT = NameRule(
    pattern=r"(?=.{3,24}$)[a-zA-Z]([a-zA-Z0-9]|-(?!-))*[a-zA-Z0-9]",
    words="3-24 letters, digits and single hyphens, starts with a letter",
    code="VaultNameNotValid",
)
SECRET = NameRule(pattern=r"[a-zA-Z0-9-]{1,127}", words="1-127 letters, digits and hyphens")
IDENTITY = NameRule(
    pattern=r"[a-zA-Z0-9][\w-]{2,127}",
    words="3-128 letters, digits, '-', '_'; starts with a letter or digit",
)
SCALE_SET = NameRule(
    pattern=r"(?=.{1,64}$)[a-zA-Z0-9]([\w.-]*[\w])?",
    words="1-64 letters, digits, '.', '_', '-'; starts with a letter or digit",
    code="InvalidParameter",
)
COMPUTER_NAME_PREFIX = NameRule(
    # Linux: 64 characters with the six digits that Azure appends.
    pattern=r"(?=.{1,58}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?",
    words="1-58 letters, digits and hyphens, no hyphen at either end",
    code="InvalidParameter",
)


def check_tags(tags: Mapping[str, object]) -> None:
    """Azure: at most 50 tags, names up to 512 characters without <>%&\\?/, values up to 256."""
    if len(tags) > 50:
        raise AzureError("InvalidTags", f"There are {len(tags)} tags; at most 50 are allowed.")
    for name, value in tags.items():
        if len(name) > 512 or re.search(r"[<>%&\\?/]", name):
            raise AzureError("InvalidTagNameCharacters", f"The tag name '{name}' is not allowed.")
        if len(str(value)) > 256:
            raise AzureError("InvalidTagValueLength", f"The value of tag '{name}' is too long.")
