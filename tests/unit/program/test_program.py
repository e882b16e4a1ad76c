"""What the whole program would create, seen through a recording monitor."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.program.conftest import Config
from tests.unit.program.recorded_stack import DEPLOYER, SUBSCRIPTION, Recorded, Registered

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


class TestNetwork:
    def rules(self, stack: Recorded) -> list[dict[str, Any]]:
        group = stack.one("azure-native:network:NetworkSecurityGroup")
        found: list[dict[str, Any]] = group.inputs["securityRules"]
        return sorted(found, key=lambda rule: rule["priority"])

    def test_the_internet_reaches_only_web_and_published_ports(self, stack: Recorded) -> None:
        open_ports = {
            rule["protocol"]: rule.get("destinationPortRanges") or [rule["destinationPortRange"]]
            for rule in self.rules(stack)
            if rule["access"] == "Allow" and rule.get("sourceAddressPrefix") == "*"
            if rule["name"] != "web"
        }
        (web,) = (rule for rule in self.rules(stack) if rule["name"] == "web")

        assert web["destinationPortRanges"] == ["80", "443"]
        assert open_ports == {"Tcp": ["64738"], "Udp": ["64738", "64739"]}

    def test_ssh_is_open_to_admins_only(self, stack: Recorded) -> None:
        (ssh,) = (r for r in self.rules(stack) if r.get("destinationPortRange") == "22")

        assert ssh["sourceAddressPrefixes"] == ["10.8.0.0/16", "198.51.100.0/24", "203.0.113.7/32"]

    def test_etcd_is_open_to_machines_only(self, stack: Recorded) -> None:
        (etcd,) = (r for r in self.rules(stack) if r.get("destinationPortRange") == "2379-2380")

        assert etcd["sourceAddressPrefix"] == "10.20.0.0/24"

    def test_probes_come_in_and_everything_else_is_denied_last(self, stack: Recorded) -> None:
        *_, last = rules = self.rules(stack)

        assert any(rule.get("sourceAddressPrefix") == "AzureLoadBalancer" for rule in rules)
        assert (last["access"], last["sourceAddressPrefix"], last["protocol"]) == ("Deny", "*", "*")
        assert all(rule["priority"] in RULE_PRIORITIES for rule in rules)
        assert len({rule["priority"] for rule in rules}) == len(rules)

    def test_a_stack_without_published_ports_opens_none(self, run: Run, config: Config) -> None:
        assert not [r for r in self.rules(run(config)) if r["name"].startswith("services")]

    def test_machines_go_out_by_nat_and_only_by_it(self, stack: Recorded) -> None:
        subnet = stack.one("azure-native:network:Subnet")

        assert subnet.inputs["defaultOutboundAccess"] is False
        assert subnet.inputs["natGateway"] == {"id": "network-nat-id"}
        assert subnet.inputs["networkSecurityGroup"] == {"id": "network-core-id"}

    def test_subnets_are_not_inline(self, stack: Recorded) -> None:
        assert "subnets" not in stack.one("azure-native:network:VirtualNetwork").inputs


class TestLoadBalancer:
    @pytest.fixture
    def balancer(self, stack: Recorded) -> Registered:
        return stack.one("azure-native:network:LoadBalancer")

    def rules(self, balancer: Registered) -> dict[str, dict[str, Any]]:
        return {rule["name"]: rule for rule in balancer.inputs["loadBalancingRules"]}

    def test_every_public_port_leads_somewhere(self, balancer: Registered) -> None:
        ports = {
            (rule["protocol"], rule["frontendPort"], rule["backendPort"])
            for rule in self.rules(balancer).values()
        }

        assert ports == {
            ("Tcp", 80, 80),
            ("Tcp", 443, 443),
            ("Tcp", 50022, 22),
            ("Tcp", 64738, 64738),
            ("Udp", 64738, 64738),
            ("Udp", 64739, 64739),
        }

    def test_rules_name_parts_of_this_load_balancer(self, balancer: Registered) -> None:
        own = f"{GROUP}/providers/Microsoft.Network/loadBalancers/fleet-dev-lb"
        probes = {f"{own}/probes/{probe['name']}" for probe in balancer.inputs["probes"]}

        assert balancer.inputs["loadBalancerName"] == "fleet-dev-lb"
        for rule in self.rules(balancer).values():
            assert rule["frontendIPConfiguration"]["id"] == f"{own}/frontendIPConfigurations/public"
            assert rule["backendAddressPool"]["id"] == f"{own}/backendAddressPools/core"
            assert rule["probe"]["id"] in probes

    def test_routers_are_probed_on_their_own_health(self, balancer: Registered) -> None:
        probes = {probe["name"]: probe for probe in balancer.inputs["probes"]}

        assert probes["router"] | {"protocol": "Http", "port": 8089} == probes["router"]
        assert probes["router"]["requestPath"] == "/health"
        assert self.rules(balancer)["http"]["probe"]["id"].endswith("/router")
        assert self.rules(balancer)["ssh"]["probe"]["id"].endswith("/ssh")

    def test_a_clients_tcp_and_udp_reach_the_same_machine(self, balancer: Registered) -> None:
        for name in ("tcp-64738", "udp-64738", "ssh"):
            assert self.rules(balancer)[name]["loadDistribution"] == "SourceIP"

    def test_machines_do_not_go_out_through_it(self, balancer: Registered) -> None:
        assert all(rule["disableOutboundSnat"] for rule in self.rules(balancer).values())

    def test_the_dns_label_is_the_same_each_time_and_unlikely_to_be_taken(
        self, run: Run, config: Config
    ) -> None:
        labels = {
            run(config)
            .one("azure-native:network:PublicIPAddress", "load-balancer-public")
            .inputs["dnsSettings"]["domainNameLabel"]
            for _ in range(2)
        }

        (label,) = labels
        assert label.startswith("fleet-dev-")
        assert len(label) == len("fleet-dev-") + 6

    def test_the_dns_label_can_be_chosen(self, run: Run, config: Config) -> None:
        address = run(config | {"dnsLabel": "toktv"}).one(
            "azure-native:network:PublicIPAddress", "load-balancer-public"
        )

        assert address.inputs["dnsSettings"] == {"domainNameLabel": "toktv"}


class TestStorage:
    ACCOUNT = "azure-native:storage:StorageAccount"

    def test_keys_open_only_the_account_that_holds_public_software(self, stack: Recorded) -> None:
        keys = {one.name: one.inputs["allowSharedKeyAccess"] for one in stack.all(self.ACCOUNT)}

        assert keys == {"fleetartefact": True, "fleetdata": False}

    def test_accounts_are_closed_to_the_public(self, stack: Recorded) -> None:
        for account in stack.all(self.ACCOUNT):
            rules = account.inputs["networkRuleSet"]
            assert account.inputs["allowBlobPublicAccess"] is False
            assert account.inputs["minimumTlsVersion"] == "TLS1_2"
            assert rules["defaultAction"] == "Deny"
            assert rules["virtualNetworkRules"][0]["virtualNetworkResourceId"] == "network-core-id"
        for container in stack.all("azure-native:storage:BlobContainer"):
            assert container.inputs["publicAccess"] == "None"

    def test_admins_are_written_as_storage_wants_them(self, stack: Recorded) -> None:
        rules = stack.one(self.ACCOUNT, "fleetdata").inputs["networkRuleSet"]["ipRules"]

        # a single address without /32; private ranges come by way of the network
        assert [rule["iPAddressOrRange"] for rule in rules] == ["198.51.100.0/24", "203.0.113.7"]

    def test_every_artefact_is_uploaded_under_its_hash(self, stack: Recorded) -> None:
        blobs = stack.all("azure-native:storage:Blob")

        assert {one.inputs["blobName"] for one in blobs} == {
            "bundle-bbbbbbbbbbbb.tar.gz",
            "image-cluster-cccccccccccc.tar.gz",
            "image-registry-eeeeeeeeeeee.tar.gz",
            "image-router-ffffffffffff.tar.gz",
        }
        # another hash is another resource: the new blob is there before the old one goes
        assert all(one.inputs["blobName"][-19:-7] in one.name for one in blobs)


class TestKeyVault:
    def test_it_knows_roles_only_and_lets_in_nodes_and_admins(self, stack: Recorded) -> None:
        properties = stack.one("azure-native:keyvault:Vault").inputs["properties"]

        assert properties["enableRbacAuthorization"] is True
        assert properties["networkAcls"]["defaultAction"] == "Deny"
        assert {"value": "203.0.113.7/32"} in properties["networkAcls"]["ipRules"]
        # Azure refuses False
        assert "enablePurgeProtection" not in properties

    def test_secrets_are_secret_and_go_with_the_vault(self, stack: Recorded) -> None:
        secrets = stack.all("azure-native:keyvault:Secret")

        assert {one.inputs["secretName"] for one in secrets} == {
            "ssh-host-key",
            "tls-key",
            "tls-certificate",
        }
        for secret in secrets:
            assert "properties" in secret.secret_inputs
            assert secret.deleted_with.endswith("keyvault:Vault::fleet")


class TestIdentity:
    def test_nodes_can_read_images_but_not_change_them(self, stack: Recorded) -> None:
        rights = {
            one.name: (one.inputs["scope"], one.inputs["roleDefinitionId"].split("/")[-1][:8])
            for one in stack.all("azure-native:authorization:RoleAssignment")
        }

        assert rights == {
            "identity-nodes-read-artefacts": ("nodes-id", "2a2b9908"),
            "identity-nodes-read-registry": ("registry-id", "2a2b9908"),
            "identity-nodes-write-cluster": ("cluster-id", "ba92f5b4"),
            "identity-nodes-write-backups": ("backups-id", "ba92f5b4"),
            "identity-nodes-read-secrets": ("fleet-id", "4633458b"),
            "identity-deployer-manage-secrets": ("fleet-id", "b86a8fe4"),
        }

    def test_a_new_identity_is_named_as_one(self, stack: Recorded) -> None:
        for one in stack.all("azure-native:authorization:RoleAssignment"):
            if one.inputs["principalId"] != DEPLOYER:
                assert one.inputs["principalType"] == "ServicePrincipal"

    def test_developers_may_push_images(self, run: Run, config: Config) -> None:
        developer = "11111111-2222-3333-4444-555555555555"

        assignment = run(config | {"developers": [developer]}).one(
            "azure-native:authorization:RoleAssignment", f"identity-push-{developer}"
        )

        assert assignment.inputs["scope"] == "registry-id"
        assert assignment.inputs["principalType"] == "User"

    def test_assignments_have_the_same_distinct_names_each_time(
        self, run: Run, config: Config
    ) -> None:
        first, second = (
            [
                one.inputs["roleAssignmentName"]
                for one in sorted(
                    run(config).all("azure-native:authorization:RoleAssignment"),
                    key=lambda one: one.name,
                )
            ]
            for _ in range(2)
        )

        assert first == second
        assert len(set(first)) == len(first)


class TestScaleSet:
    @pytest.fixture
    def machines(self, stack: Recorded) -> dict[str, Any]:
        return stack.one(SCALE_SET).inputs

    def test_azure_neither_adds_nor_changes_machines_by_itself(
        self, machines: dict[str, Any]
    ) -> None:
        assert machines["orchestrationMode"] == "Uniform"
        assert machines["overprovision"] is False
        assert machines["upgradePolicy"] == {"mode": "Manual"}
        assert "automaticRepairsPolicy" not in machines
        assert machines["sku"]["capacity"] == 3

    def test_nobody_logs_in_with_a_password(self, machines: dict[str, Any]) -> None:
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

    def test_etcd_has_a_disk_of_its_own(self, machines: dict[str, Any]) -> None:
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

    def test_machines_wait_for_all_that_they_ask_for_at_boot(self, stack: Recorded) -> None:
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

    def test_without_zones_machines_spread_over_fault_domains(
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

    def test_no_command_outlives_the_machines(self, stack: Recorded) -> None:
        for command in stack.all(COMMAND):
            assert command.deleted_with == stack.one(SCALE_SET).urn

    def test_commands_run_again_on_new_machines(self, stack: Recorded) -> None:
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

    def test_the_cluster_is_ready_with_all_its_machines(self, stack: Recorded) -> None:
        assert self.order(stack, "fleet-ready")["size"] == 3

    def test_a_change_of_one_service_is_no_change_of_another(
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

    def test_removal_is_told_whom_and_how_slowly(self, stack: Recorded) -> None:
        removal = stack.one(COMMAND, "hello-rollout").inputs["delete"]

        told, _, verb = removal.partition(" | ")
        assert json.loads(told.removeprefix("echo ").strip("'")) == {"name": "hello", "drain": 10}
        assert verb.endswith("/opt/bin/fleet-cluster remove")

    def test_a_service_is_a_component_that_can_be_left_out_by_its_type(
        self, stack: Recorded
    ) -> None:
        assert "fleet:index:Service" in stack.one(COMMAND, "hello-rollout").urn


class TestOutputs:
    def test_they_say_how_to_reach_everything(self, stack: Recorded) -> None:
        outputs = stack.outputs
        host = outputs["url"].removeprefix("http://")

        assert outputs["publicIp"] == "20.1.2.3"
        assert outputs["sshCommand"] == "ssh -p 50022 core@20.1.2.3"
        assert outputs["nodes"] == 3
        assert outputs["services"] == {
            "hello": [f"http://{host}"],
            "voice": [f"tcp://{host}:64738", f"udp://{host}:64738", f"udp://{host}:64739"],
        }
        assert "docker push localhost:5000" in outputs["registryPush"]

    def test_the_private_key_is_the_only_secret_among_them(self, stack: Recorded) -> None:
        assert stack.secret_exports == {"sshPrivateKey"}
