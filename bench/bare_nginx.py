"""Fast back ends on one node, with bare nginx in front of them to compare the router with.

Both run nginx of the router's image. Bare nginx writes the same log lines to the same place as the
router, so the difference is the router's own work.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clients.etcd import Etcd
from clients.service_store import ServiceKeys
from contract.codec import encode
from contract.instance import Instance
from contract.keys import instance_key, service_key
from contract.route import Route
from lab.scratch_stack import ScratchStack
from tools.paths import PROJECT
from tools.progress import StepFailed

NAME, HOST = "bench-fast", "bench-fast.example"
BACK_ENDS = (59081, 59082, 59083)
"""Other nodes reach these ports, as those of every instance (components/network.py)."""
BARE = 28080
BODY = "x" * 1024
WORKERS = 2
"""As in the router."""
ROUTE = encode(Route(hosts=(HOST,), http=True, health="/"))
FOLDER = "/run/bench"

_FRAME = """
worker_processes {workers};
worker_rlimit_nofile 16384;
error_log stderr warn;
pid /run/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    keepalive_requests 1000000;
    {http}
}}
"""
_BACK_END = """
    access_log off;
    server {{
        {listen}
        default_type text/plain;
        return 200 "{body}";
    }}
"""
_BARE = """
    {log}
    upstream back_ends {{
        {servers}
        keepalive 16;
    }}
    server {{
        listen {port};
        set $service {name};
        set $request_trace $request_id;
        location / {{
            proxy_pass http://back_ends;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""


@dataclass(frozen=True, kw_only=True)
class Ways:
    """Addresses on one node that give the same answer."""

    back_end: str
    bare: str
    router: str


@contextmanager
def running(stack: ScratchStack, node: str, address: str, etcd: Etcd) -> Iterator[Ways]:
    """The back ends as instances of their own service, for the length of a block."""
    router = Container.of_router(stack, node)
    keys = ServiceKeys(etcd, NAME)
    try:
        router.start_nginx("bench-back-end", back_end_config())
        router.start_nginx("bench-bare", bare_config(router.read_log_directive()))
        keys.make_directories()
        for number, port in enumerate(BACK_ENDS, start=1):
            instance = Instance(http=f"{address}:{port}", node="bench")
            etcd.set(instance_key(NAME, f"bench-{number}"), encode(instance))
        keys.write_route(ROUTE)
        yield Ways(back_end=f"{address}:{BACK_ENDS[0]}", bare=f"{address}:{BARE}", router=address)
    finally:
        if etcd.find(service_key(NAME)) is not None:
            etcd.delete(service_key(NAME), recursive=True)
        stack.node(node, "sudo docker rm --force bench-back-end bench-bare")


def back_end_config() -> str:
    """nginx that answers from memory and writes no log."""
    listen = " ".join(f"listen {port};" for port in BACK_ENDS)
    return _FRAME.format(workers=WORKERS, http=_BACK_END.format(listen=listen, body=BODY))


def bare_config(access_log: str) -> str:
    """A plain configuration in front of the back ends, with the router's log."""
    shared = (PROJECT / "router/image/nginx/http.conf").read_text()
    log_format = re.search(r"^log_format json .*?;\n", shared, re.DOTALL | re.MULTILINE)
    if log_format is None:
        raise StepFailed(
            "Configuring bare nginx",
            why="router/image/nginx/http.conf has no log_format json",
            advice="Adapt bench/bare_nginx.py to the router's log.",
        )
    servers = " ".join(f"server 127.0.0.1:{port};" for port in BACK_ENDS)
    http = _BARE.format(log=log_format[0] + access_log, servers=servers, port=BARE, name=NAME)
    return _FRAME.format(workers=WORKERS, http=http)


@dataclass(frozen=True, kw_only=True)
class Container:
    """The router's container on a node."""

    stack: ScratchStack
    node: str
    name: str

    @classmethod
    def of_router(cls, stack: ScratchStack, node: str) -> Container:
        names = stack.node(node, "sudo docker ps --filter name=^router- --format '{{.Names}}'")
        (name,) = names.split()
        return cls(stack=stack, node=node, name=name)

    def read_log_directive(self) -> str:
        """How and where the router writes its access log."""
        config = self._docker("exec", self.name, "cat", "/run/router/http.conf")
        found = re.search(r"^ *(access_log (?!off).*;)$", config, re.MULTILINE)
        if found is None:
            raise StepFailed(
                "Reading the router's configuration",
                why="it has no access_log",
                advice="Adapt bench/bare_nginx.py to the router's log.",
            )
        return found[1]

    def start_nginx(self, name: str, config: str) -> None:
        """nginx alone from the same image, on the node's network, with the same log driver."""
        driver, image = self._docker(
            "inspect", "--format", "{{.HostConfig.LogConfig.Type}} {{.Config.Image}}", self.name
        ).split()
        file = f"{FOLDER}/{name}.conf"
        written = f"sudo mkdir -p {FOLDER} && echo {shlex.quote(config)} | sudo tee {file}"
        self.stack.node(self.node, f"{written} >/dev/null")
        self._docker("rm", "--force", name)
        self._docker(
            *("run", "--detach", "--name", name, "--network", "host", "--log-driver", driver),
            *("--volume", f"{file}:{file}:ro", "--entrypoint", "nginx"),
            *(image, "-c", file, "-g", "daemon off;"),
        )

    def _docker(self, *arguments: str) -> str:
        return self.stack.node(self.node, shlex.join(["sudo", "docker", *arguments]))
