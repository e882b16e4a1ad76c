"""`python -m lab.providers.azure_native ENGINE_ADDRESS`: the plugin process."""

from lab.providers.azure_native.provider import AzureNative
from lab.providers.cloud_client import CloudClient
from lab.providers.plugin import run

run(lambda: AzureNative(CloudClient.from_environment()))
