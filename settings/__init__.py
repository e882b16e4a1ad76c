"""The stack's configuration as typed, validated values.

Nothing else in the program reads `pulumi.Config`. Whatever is wrong is reported at preview, all of
it at once, and nothing is created.
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
