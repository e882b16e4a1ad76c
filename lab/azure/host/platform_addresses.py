"""The two addresses at which every VM reaches Azure itself."""

PLATFORM = "168.63.129.16"
"""DNS, health probes and, in the lab, storage and vault."""

METADATA = "169.254.169.254"
"""The instance metadata service."""
