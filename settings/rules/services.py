"""Rules about services: about each one, and about all of them together."""

from collections.abc import Iterator

from settings.fields import megabytes
from settings.problems import Problem
from settings.rules.unique import claimed_twice, repeated
from settings.service import InstanceSet
from settings.stack import Settings


def problems(settings: Settings) -> Iterator[Problem]:
    """The problems of services."""
    yield from _services(settings)
    yield from _hosts(settings)
    for one in settings.instance_sets:
        yield from _health(one)
        yield from _tmpfs(one)
        yield from _variables(one)


def _services(settings: Settings) -> Iterator[Problem]:
    for name, service in settings.services.items():
        path = f"fleet:services.{name}"
        if service.http is None and not service.tcp and not service.udp:
            yield Problem(
                path=path,
                message="must have http, tcp or udp; otherwise no client can reach it. For a "
                f"worker without a port, set http: {{hosts: [{name}.invalid]}}, a name that no "
                "client can request, and a check: health: {command: …}",
            )
        if service.customers is not None:
            if service.http is None:
                yield Problem(path=f"{path}.http", message="is missing, but customers need it")
            elif service.http.hosts:
                yield Problem(
                    path=f"{path}.http.hosts",
                    value=list(service.http.hosts),
                    message="must be omitted, because each customer has separate hosts",
                )
            if service.tcp or service.udp:
                yield Problem(
                    path=path,
                    message="must have either customers or tcp and udp: a public port can lead to "
                    "only one customer",
                )


def _hosts(settings: Settings) -> Iterator[Problem]:
    web = [(one, one.http) for one in settings.instance_sets if one.http is not None]
    yield from claimed_twice(
        ((host, _hosts_path(one.path)) for one, http in web for host in http.hosts),
        "is already used by {1}; a host leads to one service",
    )
    default_sites = [one.path for one, http in web if not http.hosts]
    for path in default_sites[1:]:
        yield Problem(
            path=_hosts_path(path),
            message="is missing. Only one service can be the default site, and that is "
            f"{default_sites[0]}",
        )


def _hosts_path(path: str) -> str:
    return f"{path}.hosts" if ".customers." in path else f"{path}.http.hosts"


def _health(one: InstanceSet) -> Iterator[Problem]:
    if one.health.http is not None and one.http is None:
        yield Problem(
            path=one.where("health.http"),
            value=one.health.http,
            message="needs http, which sets the port to check. Without http, use tcp or command",
        )


def _tmpfs(one: InstanceSet) -> Iterator[Problem]:
    """The content of a tmpfs counts towards the container's memory limit."""
    yield from repeated(one.where("tmpfs"), [each.partition(":")[0] for each in one.tmpfs])
    size = sum(megabytes(each.partition(":")[2]) for each in one.tmpfs)
    if size and size >= megabytes(one.limits.memory):
        yield Problem(
            path=one.where("tmpfs"),
            value=list(one.tmpfs),
            message=f"must be smaller than limits.memory ({one.limits.memory}), which includes it",
        )


def _variables(one: InstanceSet) -> Iterator[Problem]:
    """A secret NAME sets the variable NAME_FILE. Programs expect either NAME or NAME_FILE."""
    for name, secret in one.secrets.items():
        for taken in sorted({name, f"{name}_FILE"} & set(one.env)):
            yield Problem(
                path=one.where(f"secrets.{name}"),
                value=secret,
                message=f"is also given as env.{taken}. A container can get {name} as a variable, "
                f"or as the file that {name}_FILE names, but not both",
            )
