"""The stack's configuration as typed, validated values.

Nothing else in the program reads `pulumi.Config`. Whatever is wrong is reported at preview, all of
it at once, and nothing is created.
"""

from settings.certificates import Certificate
from settings.health import Health
from settings.load import load
from settings.problems import SettingsError
from settings.service import Http, InstanceSet, Limits, Port
from settings.stack import Settings

__all__ = [
    "Certificate",
    "Health",
    "Http",
    "InstanceSet",
    "Limits",
    "Port",
    "Settings",
    "SettingsError",
    "load",
]
