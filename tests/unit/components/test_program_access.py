"""Who reaches what: network, load balancer, storage, vault and roles of the whole program."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.program.fixtures import Config
from tests.program.recorded_stack import DEPLOYER, SUBSCRIPTION, Recorded, Registered

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet-dev"
RULE_PRIORITIES = range(100, 4097)  # Azure's

Run = Callable[[Config], Recorded]


class TestNetwork:
    def rules(self, stack: Recorded) -> list[dict[str, Any]]:
        group = stack.one("azure-native:network:NetworkSecurityGroup")
        found: list[dict[str, Any]] = group.inputs["securityRules"]
        return sorted(found, key=lambda rule: rule["priority"])

    def test_the_internet_reaches_only_web_and_published_ports(self, stack: Recorded) -> None:
        open_ports = {
            (rule["protocol"], rule.get("destinationPortRange", "80 443"))
            for rule in self.rules(stack)
            if rule["access"] == "Allow" and rule.get("sourceAddressPrefix") == "*"
        }
        (web,) = (rule for rule in self.rules(stack) if rule["name"] == "web")

        assert web["destinationPortRanges"] == ["80", "443"]
        assert open_ports == {
            ("Tcp", "80 443"),
            ("Tcp", "64738"),
            ("Udp", "64738"),
            ("Udp", "64739"),
        }

    def test_ssh_is_open_to_admins_only(self, stack: Recorded) -> None:
        (ssh,) = (r for r in self.rules(stack) if r.get("destinationPortRange") == "22")

        assert ssh["sourceAddressPrefixes"] == ["10.8.0.0/16", "198.51.100.0/24", "203.0.113.7/32"]

    def test_etcd_is_open_to_nodes_only(self, stack: Recorded) -> None:
        (etcd,) = (r for r in self.rules(stack) if r.get("destinationPortRange") == "2379-2380")

        assert etcd["sourceAddressPrefix"] == "10.20.0.0/24"

    def test_probes_come_in_and_everything_else_is_denied_last(self, stack: Recorded) -> None:
        *_, last = rules = self.rules(stack)

        assert any(rule.get("sourceAddressPrefix") == "AzureLoadBalancer" for rule in rules)
        assert (last["access"], last["sourceAddressPrefix"], last["protocol"]) == ("Deny", "*", "*")
        assert all(rule["priority"] in RULE_PRIORITIES for rule in rules)
        assert len({rule["priority"] for rule in rules}) == len(rules)

    def test_a_published_port_is_a_rule_that_leaves_all_others_as_they_were(
        self, run: Run, config: Config, stack: Recorded
    ) -> None:
        *without, _ = self.rules(run(config))
        *others, last = self.rules(stack)

        assert others[: len(without)] == without
        assert [rule["name"] for rule in others[len(without) :]] == [
            "tcp-64738",
            "udp-64738",
            "udp-64739",
        ]
        assert last["name"] == "nothing-else"

    def test_nodes_reach_the_internet_only_through_nat(self, stack: Recorded) -> None:
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

    def test_a_clients_tcp_and_udp_reach_the_same_node(self, balancer: Registered) -> None:
        for name in ("tcp-64738", "udp-64738", "ssh"):
            assert self.rules(balancer)[name]["loadDistribution"] == "SourceIP"

    def test_a_service_that_publishes_no_port_any_more_leaves_no_rule(
        self, run: Run, config: Config
    ) -> None:
        balancer = run(config).one("azure-native:network:LoadBalancer")

        assert set(self.rules(balancer)) == {"http", "https", "ssh"}

    def test_nodes_do_not_use_the_load_balancer_for_outbound_traffic(
        self, balancer: Registered
    ) -> None:
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
    def test_the_vault_uses_roles_and_admits_nodes_and_admins(self, stack: Recorded) -> None:
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

    def test_a_new_identity_is_sent_with_its_type(self, stack: Recorded) -> None:
        for one in stack.all("azure-native:authorization:RoleAssignment"):
            if one.inputs["principalId"] != DEPLOYER:
                assert one.inputs["principalType"] == "ServicePrincipal"

    def test_developers_may_push_images(self, run: Run, config: Config) -> None:
        developer = "11111111-2222-3333-4444-555555555555"

        assignment = run(config | {"developers": [developer]}).one(
            "azure-native:authorization:RoleAssignment", f"identity-push-{developer}"
        )

        assert assignment.inputs["scope"] == "registry-id"
        # whose ids they are, Azure knows
        assert "principalType" not in assignment.inputs

    def test_with_a_list_of_deployers_the_current_identity_does_not_matter(
        self, run: Run, config: Config
    ) -> None:
        first, second = (f"{digit * 8}-2222-3333-4444-555555555555" for digit in "12")

        recorded = run(config | {"deployers": [first, second]})

        assert {
            one.name: one.inputs["principalId"]
            for one in recorded.all("azure-native:authorization:RoleAssignment")
            if "deployer" in one.name
        } == {
            f"identity-deployer-{first}-manage-secrets": first,
            f"identity-deployer-{second}-manage-secrets": second,
        }

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
