"""The whole program by way of the real Pulumi engine, with the project's own file: previews."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.pulumi import sample_secrets, stack_config
from tests.parts.lab.providers.attached import attached_plugins
from tests.parts.lab.providers.pulumi_stack import PulumiStack
from tests.parts.lab.providers.simulated_azure import serving
from tests.program import pem
from tests.program.recorded_stack import PROJECT

PROGRAM = f"""
    import runpy
    runpy.run_path("{PROJECT}/__main__.py", run_name="__main__")
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[PulumiStack]:
    """The project as it is, but run by this Python, with artefacts that hold nothing."""
    with serving(tmp_path / "azure") as cloud, attached_plugins(cloud) as environment:
        made = PulumiStack(tmp_path, environment)
        project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())
        made.file("Pulumi.yaml", yaml.safe_dump(project | {"runtime": "python"}).encode())
        made.file("empty.tar.gz", b"")
        (tmp_path / "project/.artefacts").mkdir()
        empty = {"path": str(tmp_path / "project/empty.tar.gz"), "sha256": "a" * 64}
        images = dict.fromkeys(("cluster", "registry", "router"), empty)
        made.file(
            ".artefacts/manifest.json", json.dumps({"bundle": empty, "images": images}).encode()
        )
        made.program(PROGRAM)
        made.init()
        yield made


def use(sample: str, folder: Path, **changes: object) -> None:
    """Give the stack the configuration of a sample stack."""
    file = folder / "project/Pulumi.test.yaml"
    own = yaml.safe_load(file.read_text())
    config = yaml.safe_load((PROJECT / f"Pulumi.{sample}.yaml").read_text())["config"]
    config |= {f"fleet:{key}": value for key, value in changes.items()}
    file.write_text(yaml.safe_dump(own | {"config": config}))


def test_a_sample_stack_is_accepted_after_its_secrets_are_set(
    engine: PulumiStack, tmp_path: Path
) -> None:
    use("docebo", tmp_path)

    refused = engine.run("preview", "--non-interactive")
    advised = re.findall(
        r"`pulumi (config set --secret --path \S+) (VALUE|< FILE.pem)`", refused.text
    )
    for command, _ in advised:
        value = pem.chain("acme.docebo.example") if "certificate" in command else "throw-away"
        done = engine.run(*command.split(), "--", value)
        assert done.succeeded, done.text
    outcome = engine.run("preview", "--non-interactive")

    assert not refused.succeeded
    assert "configuration has 3 problems; nothing was changed" in refused.text
    assert [how for _, how in advised] == ["VALUE", "< FILE.pem", "VALUE"]
    assert outcome.succeeded, outcome.text
    for name in ("lms-acme-rollout", "lms-initech-rollout", "service-acme-admin"):
        assert name in outcome.text
    assert "throw-away" not in outcome.text
    # of a host that redirects to HTTPS
    assert "globex.docebo.example redirects to HTTPS, but no certificate" in outcome.text


@pytest.mark.parametrize(("sample", "secrets"), [("toktv", 2), ("docebo", 3)])
def test_the_lab_lends_a_sample_stack_the_secrets_that_it_lacks(
    engine: PulumiStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sample: str,
    secrets: int,
) -> None:
    use(sample, tmp_path)
    before = (tmp_path / "project/Pulumi.test.yaml").read_text()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "lab"))
    monkeypatch.setattr(stack_config, "PROJECT", tmp_path / "project")

    lent = sample_secrets.config_file("test", engine.run)
    engine.environment["PULUMI_OPTION_CONFIG_FILE"] = str(lent)
    outcome = engine.run("preview", "--non-interactive", "--diff")

    assert outcome.succeeded, outcome.text
    assert "no certificate in" not in outcome.text, "the one that was made up is for all hosts"
    assert len(sample_secrets.made_up("test")) == secrets
    assert not any(value in outcome.text for value in sample_secrets.made_up("test").values())
    assert (tmp_path / "project/Pulumi.test.yaml").read_text() == before


ODD = """\
config:
  fleet:location: westeurope
  fleet:ownerTag: dev
  fleet:adminCidrs: [127.0.0.1/32]
  fleet:services:
    lms:
      image: lms:1
      http: {}
      secrets: {KEY: key}
      customers:
        no: {hosts: [no.example]}
    odd:
      image: odd:1
      http: {}
      env: {COUNTRY: NO, SLOT: 12:30, CODE: '1e3', DAY: "2024-11-05", ZERO: "007"}
"""


def test_ambiguous_yaml_values_arrive_as_written(
    engine: PulumiStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "project/Pulumi.test.yaml"
    file.write_text(ODD + file.read_text())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "lab"))
    monkeypatch.setattr(stack_config, "PROJECT", tmp_path / "project")

    lent = sample_secrets.config_file("test", engine.run)
    engine.environment["PULUMI_OPTION_CONFIG_FILE"] = str(lent)
    engine.program("import pulumi; print(pulumi.Config('fleet').require('services'))")
    outcome = engine.run("preview", "--non-interactive")

    printed = re.search(r'{"lms".*}', outcome.text)
    assert printed, outcome.text
    services = json.loads(printed[0])
    assert services["odd"]["env"] == {
        "COUNTRY": "NO",
        "SLOT": "12:30",
        "CODE": "1e3",
        "DAY": "2024-11-05",
        "ZERO": "007",
    }
    assert services["lms"]["customers"].keys() == {"no"}


def test_an_unquoted_value_that_yaml_changed_is_refused_with_advice(
    engine: PulumiStack, tmp_path: Path
) -> None:
    use("dev", tmp_path)
    file = tmp_path / "project/Pulumi.test.yaml"
    dates = (
        "{A: 2024-11-05, B: 2024-1-5, C: 2001-12-14t21:59:43.10-05:00, D: '2024-11-05', "
        'E: "2024-11-05 10:00:00 +0000 UTC"}'
    )
    text = file.read_text().replace("ownerTag: dev", "ownerTag: 0o17")
    text = text.replace("config:", "config:\n  fleet:protect: True\n  fleet:drainSeconds: +3")
    file.write_text(text.replace("      http:", f"      env: {dates}\n      http:"))
    engine.environment["TZ"] = "America/New_York"

    refused = engine.run("preview", "--non-interactive")

    assert "configuration has 4 problems" in refused.text
    assert 'fleet:ownerTag = "15": was written as 0o17, which YAML reads' in refused.text
    for name, advice in (("A", "2024-11-05"), ("B", "2024-01-05"), ("C", "2001-12-14T21:59:43.1-")):
        assert re.search(rf'env.{name} = "[^"]*": is a date.* like "{advice}', refused.text)


def test_an_encrypted_value_in_the_wrong_place_is_refused_and_not_shown(
    engine: PulumiStack, tmp_path: Path
) -> None:
    """Units, etcd and the state would show it as plain text, and so might an error."""
    use("dev", tmp_path)
    for key in ("services.hello.env.KEY", "certificates.web.secret"):
        done = engine.run(*("config", "set", "--secret", "--path", f"fleet:{key}", "--", "hunter2"))
        assert done.succeeded, done.text

    refused = engine.run("preview", "--non-interactive")

    assert not refused.succeeded
    for key in ("services", "certificates"):
        assert f"fleet:{key}: must not contain an encrypted value" in refused.text
    assert "hunter2" not in refused.text


def test_all_problems_are_reported_together_with_path_and_value(
    engine: PulumiStack, tmp_path: Path
) -> None:
    services = {
        "voice": {"image": "v:1", "tcp": [{"port": -1}]},
        "Bad": {"image": "b:1", "http": {}, "volumes": ["/data"]},
    }
    use("dev", tmp_path, services=services)

    refused = engine.run("preview", "--non-interactive")

    assert not refused.succeeded
    for expected in (
        "fleet:services.voice.tcp[0].port = -1: must be greater than or equal to 1",
        'fleet:services.Bad = "Bad": must be 1 to 30 lower-case letters',
        'fleet:services.Bad.volumes = ["/data"]: is not supported: an instance may move',
    ):
        assert expected in refused.text


def test_the_policy_pack_refuses_an_open_port_and_nothing_of_the_program(
    engine: PulumiStack, tmp_path: Path
) -> None:
    use("dev", tmp_path)
    engine.program(
        f"""
        import runpy

        import pulumi
        import pulumi_azure_native as azure_native
        from pulumi_azure_native import network

        # before the program, which tags everything after it
        network.NetworkSecurityGroup(
            "open",
            resource_group_name="group",
            security_rules=[
                network.SecurityRuleArgs(
                    name="everybody",
                    priority=100,
                    direction="Inbound",
                    access="Allow",
                    protocol="Tcp",
                    source_address_prefix="*",
                    source_port_range="*",
                    destination_address_prefix="*",
                    destination_port_range="22",
                )
            ],
            opts=pulumi.ResourceOptions(
                provider=azure_native.Provider("other", location="westeurope")
            ),
        )
        runpy.run_path("{PROJECT}/__main__.py", run_name="__main__")
        """
    )

    refused = engine.run("preview", "--non-interactive", "--policy-pack", str(PROJECT / "policy"))

    assert not refused.succeeded
    mandatory = re.findall(r"\[mandatory\] +(\S+) +\((.*)\)", refused.text)
    at_fault = "azure-native:network:NetworkSecurityGroup: open"
    assert mandatory == [("no-open-ssh", at_fault), ("tags", at_fault)], refused.text
    assert "the rule everybody opens SSH to the whole Internet" in refused.text
    assert "the tags owner, project, stack are missing" in refused.text
