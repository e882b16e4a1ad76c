"""The real parts a router is tested with: etcd, and the router's image, on loopback ports of their
own. The image, because its nginx is not the one that this machine could install.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from clients.etcd import Etcd, EtcdError
from lab.machine import docker_daemon
from tests.eventually import eventually
from tests.ports import free_port
from tools.build import ensure_image, ensure_program

PROJECT = Path(__file__).resolve().parents[3]
IMAGE = PROJECT / "router" / "image"

# A connection of its own for every request, as different clients would have.
CLIENT = httpx.Client(
    trust_env=False,
    headers={"Connection": "close"},
    limits=httpx.Limits(max_keepalive_connections=0),
)


def program(name: str, package: str) -> Path:
    """An installed program, or the pinned one that tools/ builds."""
    installed = shutil.which(name)
    return Path(installed) if installed else ensure_program(package) / name


@functools.cache
def image() -> str:
    """The router's image, in a Docker daemon that answers."""
    docker_daemon.ensure()
    return ensure_image("router")


def in_container(name: str, entrypoint: str, environment: Mapping[str, str]) -> list[str]:
    """The command that runs a program of the router's image, on this machine's network and with
    its folder for temporary files. Signals reach the program; it ends with the program's code."""
    temporary = tempfile.gettempdir()
    return [
        "docker", "run", "--rm", "--name", name, "--network", "host",
        "--user", f"{os.getuid()}:{os.getgid()}",
        "--volume", f"{temporary}:{temporary}",
        *(f"--env={name}={value}" for name, value in environment.items()),
        "--entrypoint", entrypoint, image(),
    ]  # fmt: skip


class EtcdServer:
    """A member of etcd with the v2 API, as on every node; alone unless it is given companions."""

    def __init__(self, folder: Path, *, address: str = "127.0.0.1") -> None:
        self._folder = folder
        self.address = address
        self.url = f"http://{address}:{free_port()}"
        self.peer_url = f"http://{address}:{free_port()}"
        self.client = Etcd([self.url])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, companions: Iterable[EtcdServer] = ()) -> None:
        members = {server.address: server.peer_url for server in (self, *companions)}
        with (self._folder / f"etcd-{self.address}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("etcd", "etcd"), "--enable-v2=true", "--name", self.address,
                    "--data-dir", self._folder / f"data-{self.address}", "--unsafe-no-fsync",
                    "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                    "--listen-peer-urls", self.peer_url,
                    "--initial-advertise-peer-urls", self.peer_url,
                    "--initial-cluster", ",".join(f"{k}={v}" for k, v in members.items()),
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        eventually(self._answers, what=f"etcd answers on {self.url}")

    def stop(self) -> None:
        """As if its power failed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self, seconds: float) -> None:
        """Accept requests and answer them late, as without a leader."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            self.client.find("/")
        except EtcdError:
            return False
        return True


@contextlib.contextmanager
def running_etcd(folder: Path) -> Iterator[EtcdServer]:
    server = EtcdServer(folder)
    server.start()
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running_etcd_cluster(folder: Path) -> Iterator[list[EtcdServer]]:
    """Three members on three addresses, as three nodes have them."""
    servers = [EtcdServer(folder, address=f"127.0.0.{n}") for n in (2, 3, 4)]
    try:
        for server in servers:
            server.start([other for other in servers if other is not server])
        for server in servers:
            server.wait_until_ready()
        eventually(lambda: _all_listed(servers), what="every member lists all members")
        yield servers
    finally:
        for server in servers:
            server.stop()


def empty(etcd: EtcdServer) -> None:
    """Leave only the directories that every cluster has."""
    for directory in ("/services", "/routers"):
        etcd.client.make_directory(directory)
        for child in etcd.client.get(directory).node.nodes:
            etcd.client.delete(child.key, recursive=True)
    if etcd.client.find("/certificates"):
        etcd.client.delete("/certificates", recursive=True)


def _all_listed(servers: Iterable[EtcdServer]) -> bool:
    lists = [server.client.request("GET", "/v2/members").json()["members"] for server in servers]
    return all(member["clientURLs"] for members in lists for member in members)


@dataclass(kw_only=True)
class Router:
    """A router agent with its nginx, as a process."""

    etcd: EtcdServer
    folder: Path
    machine_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    environment: Mapping[str, str] = field(default_factory=dict)
    http_port: int = field(default_factory=free_port)
    https_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    observer: Etcd = field(init=False)

    def __post_init__(self) -> None:
        self.observer = self.etcd.client

    @property
    def _container(self) -> str:
        return f"router-{self.machine_id}"

    @property
    def agent(self) -> int:
        """The agent's process; nginx is its child."""
        command = ["docker", "inspect", "--format", "{{.State.Pid}}", self._container]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    @property
    def agent_log(self) -> str:
        return (self.folder / "agent.log").read_text()

    def start(self) -> None:
        confd_dir = lay_out_confd(self.folder)
        spool = self.folder / "spool"
        spool.mkdir(exist_ok=True)
        environment = {
            "NODE_NAME": "core-0",
            "MACHINE_ID": self.machine_id,
            "ROUTER_ETCD": self.etcd.url,
            "ROUTER_RUN_DIR": str(self.folder / "run"),
            "ROUTER_CONFD_DIR": str(confd_dir),
            "ROUTER_SPOOL_DIR": str(spool),
            "ROUTER_ACCESS_LOG": str(self.access_log),
            "ROUTER_TLS_CERTIFICATE": str(self.folder / "tls.crt"),
            "ROUTER_TLS_KEY": str(self.folder / "tls.key"),
            "ROUTER_HTTP_PORT": str(self.http_port),
            "ROUTER_HTTPS_PORT": str(self.https_port),
            "ROUTER_HEALTH_PORT": str(self.health_port),
            "ROUTER_DRAIN": "0",
            "ROUTER_QUIT_TIMEOUT": "2",
            **self.environment,
        }
        command = in_container(self._container, "python3", environment)
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "-m", "router"], stdout=log, stderr=log)

    def stop(self) -> int:
        """SIGTERM as docker sends it; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def health(self) -> int | None:
        """The status of the health probe, None if nothing listens."""
        try:
            return CLIENT.get(f"http://127.0.0.1:{self.health_port}/health").status_code
        except httpx.TransportError:
            return None

    def announced(self) -> dict[str, Any] | None:
        answer = self.observer.find(f"/routers/{self.machine_id}")
        return None if answer is None else dict(json.loads(answer.node.value))

    def wait_until_applied(self, index: int) -> None:
        def caught_up() -> bool:
            state = self.announced()
            return state is not None and state["applied"] >= index

        eventually(caught_up, what=f"the router has applied index {index}")

    def problems(self) -> list[str]:
        """What the router reports to leave out: `KEY: reason`."""
        report = self.announced() or {"problems": []}
        return [f"{one['key']}: {one['reason']}" for one in report["problems"]]

    def get(self, host: str, path: str = "/", **options: Any) -> httpx.Response:
        CLIENT.cookies.clear()  # every request is another client's
        headers = {"Host": host} | options.pop("headers", {})
        return CLIENT.request(
            options.pop("method", "GET"),
            f"http://127.0.0.1:{self.http_port}{path}",
            headers=headers,
            **options,
        )


def lay_out_confd(folder: Path) -> Path:
    """The image's /etc/confd with this test's paths; a test may change its template."""
    confd_dir = folder / "confd"
    if not confd_dir.exists():
        shutil.copytree(IMAGE / "conf.d", confd_dir / "conf.d")
        shutil.copytree(IMAGE / "templates", confd_dir / "templates")
        for resource in (confd_dir / "conf.d").iterdir():
            resource.write_text(resource.read_text().replace("/run/router", str(folder / "run")))
    return confd_dir


def publish(
    etcd: EtcdServer,
    service: str,
    *,
    route: Mapping[str, Any] | None = None,
    instances: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Write a service's keys; the index of the last write."""
    index = 0
    if route is not None:
        index = etcd.client.set(f"/services/{service}/route", json.dumps(route)).index
    for name, value in (instances or {}).items():
        key = f"/services/{service}/instances/{name}"
        index = etcd.client.set(key, json.dumps(value)).index
    return index


@contextlib.contextmanager
def running(router: Router) -> Iterator[Router]:
    """Start a router, wait until it is healthy, and stop it in the end."""
    router.start()
    try:
        eventually(lambda: router.health() == 200, what="the router is healthy")
        yield router
    finally:
        if router.process is not None and router.process.poll() is None:
            router.stop()


def open_websocket(router: Router, host: str) -> socket.socket:
    """A connection after a WebSocket's opening handshake (RFC 6455, section 1.3)."""
    client = socket.create_connection(("127.0.0.1", router.http_port), timeout=5)
    client.sendall(
        f"GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = client.recv(4096)
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    return client
