"""A cluster of Flatcar nodes with etcd and fleet on Azure, and the services that run on it."""

import gc

# The SDKs are large and never freed; garbage collection over them took a sixth of a preview.
gc.set_threshold(100_000)

import pulumi
import pulumi_azure_native as azure_native
from pulumi_azure_native import authorization, resources

import settings
from components.credentials import SelfSignedCertificate, SshKeyPair, admin_key
from components.fleet import Fleet, FleetArgs
from components.identity import Identity, IdentityArgs
from components.key_vault import KeyVault, KeyVaultArgs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.network import Network, NetworkArgs
from components.rendering import artefacts, service_secrets
from components.rendering.cloud_config import NodeConfigArgs, cloud_config
from components.scale_set import ADMIN, ScaleSet, ScaleSetArgs
from components.storage import Storage, StorageArgs
from components.tags import tag_resources
from contract.ports import PUBLIC_SSH

config = settings.load()
built = artefacts.read()
cluster_name = f"{pulumi.get_project()}-{pulumi.get_stack()}"
tag_resources(
    {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        "owner": config.owner_tag,
    }
)

# The subscription, and the identity that runs this program.
azure = azure_native.Provider(
    "azure", location=config.location, subscription_id=config.subscription_id
)
on_azure = pulumi.ResourceOptions(providers=[azure])
deployer = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(provider=azure))
group = resources.ResourceGroup(
    "group",
    resource_group_name=cluster_name,
    opts=pulumi.ResourceOptions(provider=azure, protect=config.protect),
)

# The network and the load balancer.
network = Network(
    "network",
    NetworkArgs(
        resource_group_name=group.name,
        vnet_cidr=config.vnet_cidr,
        core_subnet=config.core_subnet,
        admin_cidrs=config.admin_cidrs,
        tcp_ports=config.tcp_ports,
        udp_ports=config.udp_ports,
        zonal=bool(config.zones),
    ),
    on_azure,
)
load_balancer = LoadBalancer(
    "load-balancer",
    LoadBalancerArgs(
        resource_group_name=group.name,
        resource_group_id=group.id,
        cluster_name=cluster_name,
        dns_label=config.dns_label,
        tcp_ports=config.tcp_ports,
        udp_ports=config.udp_ports,
        zonal=bool(config.zones),
    ),
    on_azure,
)

# Storage for images and records, and the vault for keys and certificates.
storage = Storage(
    "storage",
    StorageArgs(
        resource_group_name=group.name,
        subnet_id=network.subnet_id,
        public_admin_cidrs=config.public_admin_cidrs,
        artefacts=built,
        protect=config.protect,
    ),
    on_azure,
)
admin = admin_key("admin-key", config.ssh_private_key, comment=f"admin of {cluster_name}")
host_key = SshKeyPair("host-key", comment=f"nodes of {cluster_name}")
certificate = SelfSignedCertificate(
    "certificate", hosts=[load_balancer.host_name], addresses=[load_balancer.public_ip]
)
key_vault = KeyVault(
    "key-vault",
    KeyVaultArgs(
        resource_group_name=group.name,
        tenant_id=deployer.tenant_id,
        subnet_id=network.subnet_id,
        public_admin_cidrs=config.public_admin_cidrs,
        secrets={
            "ssh-host-key": host_key.private_key,
            "tls-key": certificate.private_key,
            "tls-certificate": certificate.certificate,
        },
        versioned_secrets=service_secrets.for_vault(config),
        protect=config.protect,
    ),
    on_azure,
)

# Roles.
identity = Identity(
    "identity",
    IdentityArgs(
        resource_group_name=group.name,
        subscription_id=deployer.subscription_id,
        deployer_id=deployer.object_id,
        deployers=config.deployers,
        developers=config.developers,
        nodes_container=storage.nodes_container,
        registry_container=storage.registry_container,
        cluster_container=storage.cluster_container,
        backups_container=storage.backups_container,
        vault_id=key_vault.vault_id,
    ),
    on_azure,
)

# The nodes, and the services on them.
scale_set = ScaleSet(
    "scale-set",
    ScaleSetArgs(
        resource_group_name=group.name,
        nodes=config.nodes,
        vm_size=config.vm_size,
        zones=config.zones,
        image_version=config.image_version,
        subnet_id=network.subnet_id,
        backend_pool_id=load_balancer.backend_pool_id,
        identity_id=identity.identity_id,
        admin_public_key=admin.public_key,
        cloud_config=cloud_config(
            NodeConfigArgs(
                cluster_name=cluster_name,
                cluster_size=config.nodes,
                artefacts=built,
                artefacts_account=storage.artefacts_account,
                data_account=storage.data_account,
                identity_client_id=identity.client_id,
                vault_url=key_vault.url,
            )
        ),
        after=[*storage.uploads, *key_vault.secrets, identity],
    ),
    on_azure,
)
fleet = Fleet(
    "fleet",
    FleetArgs(
        nodes=config.nodes,
        public_ip=load_balancer.public_ip,
        host_name=load_balancer.host_name,
        admin_private_key=admin.private_key,
        host_public_key=host_key.public_key,
        scale_set=scale_set.machines,
        scale_set_name=scale_set.scale_set_name,
        artefacts=built,
        services=config.instance_sets,
        certificates=config.certificates,
        certificate_hosts={
            name: contents.hosts for name, contents in config.certificate_contents.items()
        },
        references=key_vault.references,
        drain_seconds=config.drain_seconds,
    ),
)

# Outputs for users.
pulumi.export("url", pulumi.Output.concat("http://", load_balancer.host_name))
pulumi.export("publicIp", load_balancer.public_ip)
pulumi.export(
    "sshCommand",
    pulumi.Output.concat(f"ssh -p {PUBLIC_SSH} {ADMIN}@", load_balancer.public_ip),
)
pulumi.export("sshPrivateKey", admin.private_key)
pulumi.export("sshHostKey", host_key.public_key)
pulumi.export("dataAccount", storage.data_account)
pulumi.export(
    "registryPush",
    pulumi.Output.concat(
        "docker push, to a registry on this machine that writes to the account ",
        storage.data_account,
        " (README, Pushing images)",
    ),
)
pulumi.export("services", fleet.addresses)
pulumi.export("nodes", config.nodes)
pulumi.export("nodesIdentity", identity.principal_id)
