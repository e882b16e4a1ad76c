"""The stack's configuration as typed, validated values.

Nothing else in the program reads `pulumi.Config`. Preview reports all problems together, and
creates nothing.
"""

from settings.certificates import Certificate
from settings.health import Health
from settings.load import load
from settings.service import InstanceSet
from settings.stack import Settings

__all__ = [
    "Certificate",
    "Health",
    "InstanceSet",
    "Settings",
    "load",
]
