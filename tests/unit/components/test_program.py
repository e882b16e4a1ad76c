"""What the whole program would create, seen through a recording monitor."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.program.fixtures import Config
from tests.program.recorded_stack import SUBSCRIPTION, Recorded

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet-dev"
COMMAND = "command:remote:Command"
SCALE_SET = "azure-native:compute:VirtualMachineScaleSet"
RULE_PRIORITIES = range(100, 4097)  # Azure's

Run = Callable[[Config], Recorded]


class TestEverything:
    def test_all_that_can_have_tags_has_them(self, stack: Recorded) -> None:
        tags = {"project": "fleet", "stack": "dev", "owner": "team"}
        tagged = [one for one in stack.resources if "tags" in one.inputs]

        assert len({one.type for one in tagged}) >= 10
        assert all(one.inputs["tags"] == tags for one in tagged)

    def test_components_hold_all_that_belongs_to_them(self, stack: Recorded) -> None:
        for one in stack.resources:
            if one.type.startswith("azure-native:") and not one.type.endswith(":ResourceGroup"):
                assert "fleet:index:" in one.urn

    def test_it_uses_only_the_provider_that_it_configures(self, stack: Recorded) -> None:
        provider = stack.one("pulumi:providers:azure-native")

        assert provider.inputs["location"] == "westeurope"
        for one in stack.resources:
            if one.type.startswith("azure-native:"):
                assert "::azure::" in one.provider, one.urn

    def test_names_that_must_be_unique_leave_room_for_what_pulumi_adds(
        self, stack: Recorded
    ) -> None:
        for type_ in ("azure-native:storage:StorageAccount", "azure-native:keyvault:Vault"):
            for one in stack.all(type_):
                assert not {"accountName", "vaultName"} & set(one.inputs)
                assert len(one.name) + 8 <= 24
                assert one.name.isalnum()
                assert one.name.islower()

    def test_protection_covers_what_holds_data(self, run: Run, config: Config) -> None:
        protected = {one.name for one in run(config | {"protect": True}).resources if one.protected}

        assert protected == {"group", "fleet", "fleetdata", "registry", "cluster", "backups"}

    def test_nothing_is_protected_by_default(self, stack: Recorded) -> None:
        assert not [one for one in stack.resources if one.protected]


class TestScaleSet:
    @pytest.fixture
    def machines(self, stack: Recorded) -> dict[str, Any]:
        return stack.one(SCALE_SET).inputs

    def test_azure_does_not_add_or_change_nodes_on_its_own(self, machines: dict[str, Any]) -> None:
        assert machines["orchestrationMode"] == "Uniform"
        assert machines["overprovision"] is False
        assert machines["upgradePolicy"] == {"mode": "Manual"}
        assert "automaticRepairsPolicy" not in machines
        assert machines["sku"]["capacity"] == 3

    def test_passwords_are_disabled(self, machines: dict[str, Any]) -> None:
        profile = machines["virtualMachineProfile"]["osProfile"]

        assert profile["linuxConfiguration"]["disablePasswordAuthentication"] is True
        assert "adminPassword" not in profile

    def test_the_image_is_pinned(self, machines: dict[str, Any]) -> None:
        assert machines["virtualMachineProfile"]["storageProfile"]["imageReference"] == {
            "publisher": "kinvolk",
            "offer": "flatcar-container-linux-corevm-amd64",
            "sku": "stable-gen2",
            "version": "4593.2.5",
        }

    def test_etcd_has_a_separate_disk(self, machines: dict[str, Any]) -> None:
        (disk,) = machines["virtualMachineProfile"]["storageProfile"]["dataDisks"]

        assert (disk["lun"], disk["caching"]) == (0, "None")
        assert disk["managedDisk"]["storageAccountType"] == "Premium_LRS"

    def test_custom_data_is_the_cloud_config_without_any_secret(
        self, machines: dict[str, Any]
    ) -> None:
        profile = machines["virtualMachineProfile"]["osProfile"]

        text = base64.b64decode(profile["customData"]).decode()

        assert "CLUSTER_NAME=fleet-dev\n" in text
        assert "ARTEFACTS_URL=https://fleetartefact12345678.blob.core.windows.net/nodes\n" in text
        assert "VAULT_URL=https://fleet12345678.vault.azure.net\n" in text
        assert "PRIVATE KEY" not in text

    def test_nodes_wait_for_everything_that_they_fetch_at_boot(self, stack: Recorded) -> None:
        waits_for = stack.one(SCALE_SET).dependencies

        for type_ in (
            "azure-native:storage:Blob",
            "azure-native:keyvault:Secret",
            "azure-native:authorization:RoleAssignment",
        ):
            assert {one.urn for one in stack.all(type_)} <= waits_for

    def test_zones_are_those_of_the_settings(self, run: Run, config: Config) -> None:
        stack = run(config | {"zones": ["3", "1", "2"]})

        assert stack.one(SCALE_SET).inputs["zones"] == ["1", "2", "3"]
        assert stack.one(SCALE_SET).inputs["platformFaultDomainCount"] == 1
        for address in stack.all("azure-native:network:PublicIPAddress"):
            assert address.inputs["zones"] == ["1", "2", "3"]

    def test_without_zones_nodes_are_spread_over_fault_domains(
        self, machines: dict[str, Any]
    ) -> None:
        assert "zones" not in machines
        assert machines["platformFaultDomainCount"] == 5


class TestFleet:
    def order(self, stack: Recorded, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(stack.one(COMMAND, name).inputs["stdin"])
        return loaded

    def test_every_connection_pins_the_host_key_and_is_secret(self, stack: Recorded) -> None:
        for command in stack.all(COMMAND):
            connection = command.inputs["connection"]
            assert "connection" in command.secret_inputs
            assert connection["host"] == "20.1.2.3"
            assert connection["port"] == 50022
            assert connection["hostKey"] == "ssh-ed25519 AAAA"
            assert connection["dialErrorLimit"] == -1

    def test_commands_are_deleted_with_the_scale_set(self, stack: Recorded) -> None:
        for command in stack.all(COMMAND):
            assert command.deleted_with == stack.one(SCALE_SET).urn

    def test_commands_run_again_on_a_new_scale_set(self, stack: Recorded) -> None:
        for command in stack.all(COMMAND):
            assert command.inputs["create"].endswith("# on scale set scale-set-core12345678")

    def test_commands_have_deadlines_on_the_far_side(self, stack: Recorded) -> None:
        for command in stack.all(COMMAND):
            for verb in ("create", "delete"):
                if verb in command.inputs:
                    assert "sudo timeout --kill-after=30 " in command.inputs[verb]

    def test_services_wait_for_the_platform_and_not_for_each_other(self, stack: Recorded) -> None:
        ready, platform, hello, voice = (
            stack.one(COMMAND, name)
            for name in ("fleet-ready", "fleet-platform", "hello-rollout", "voice-rollout")
        )

        assert ready.urn in platform.dependencies
        assert platform.urn in hello.dependencies & voice.dependencies
        assert hello.urn not in voice.dependencies
        assert voice.urn not in hello.dependencies

    def test_ready_waits_for_all_nodes(self, stack: Recorded) -> None:
        assert self.order(stack, "fleet-ready")["size"] == 3

    def test_an_update_of_a_running_stack_repeats_no_command_without_a_reason(
        self, stack: Recorded
    ) -> None:
        """These texts are inputs: the engine runs a command again when one of them changes."""
        ready, certificates = (
            stack.one(COMMAND, name).inputs["stdin"]
            for name in ("fleet-ready", "fleet-certificates")
        )

        assert ready == '{\n "size": 3,\n "timeout": 1200\n}'
        assert certificates == '{\n "certificates": {}\n}'
        assert stack.one(COMMAND, "hello-rollout").inputs["delete"] == (
            """echo '{"name": "hello", "drain": 10}' | """
            "sudo timeout --kill-after=30 900 /opt/bin/fleet-cluster remove"
        )

    def test_a_change_of_one_service_does_not_change_another(
        self, run: Run, config: Config, voice: Config
    ) -> None:
        config["services"]["voice"] = voice
        before = run(config)
        config["services"]["hello"]["image"] = "example-app:2.0.0"
        after = run(config)

        changed = {
            one.name
            for one in before.all(COMMAND)
            if one.inputs != after.one(COMMAND, one.name).inputs
        }

        assert changed == {"hello-rollout"}

    def test_removal_gets_the_service_and_the_drain(self, stack: Recorded) -> None:
        removal = stack.one(COMMAND, "hello-rollout").inputs["delete"]

        told, _, verb = removal.partition(" | ")
        assert json.loads(told.removeprefix("echo ").strip("'")) == {"name": "hello", "drain": 10}
        assert verb.endswith("/opt/bin/fleet-cluster remove")

    def test_a_service_is_a_component_that_can_be_left_out_by_its_type(
        self, stack: Recorded
    ) -> None:
        assert "fleet:index:Service" in stack.one(COMMAND, "hello-rollout").urn


class TestOutputs:
    def test_outputs_have_all_addresses(self, stack: Recorded) -> None:
        outputs = stack.outputs
        host = outputs["url"].removeprefix("http://")

        assert outputs["publicIp"] == "20.1.2.3"
        assert outputs["sshCommand"] == "ssh -p 50022 core@20.1.2.3"
        assert outputs["nodes"] == 3
        assert outputs["nodesIdentity"] == "p-r-i-n-c-i-p-a-l"
        assert outputs["services"] == {
            "hello": [f"http://{host}"],
            "voice": [f"tcp://{host}:64738", f"udp://{host}:64738", f"udp://{host}:64739"],
        }
        assert f"account {outputs['dataAccount']} " in outputs["registryPush"]

    def test_the_private_key_is_the_only_secret_among_them(self, stack: Recorded) -> None:
        assert stack.secret_exports == {"sshPrivateKey"}
