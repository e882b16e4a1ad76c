"""A folder that plays a node for the scripts of `cloud-config/bin`.

The scripts run as they are, with bash and the real tools, except that their absolute paths lie in
the folder, Azure answers from a small server, and docker and its like are scripts that say what
they were asked for.
"""

import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

from tests.program.recorded_stack import PROJECT

SCRIPTS = PROJECT / "cloud-config" / "bin"
CLIENT_ID = "11111111-2222-3333-4444-555555555555"


@dataclass(kw_only=True)
class Azure:
    """The answers of a simulated Azure, and the requests that it got."""

    instance: dict[str, object] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    etcd: dict[str, object] = field(default_factory=dict)
    """Keys of the v2 API with the node that each answers."""
    refusals: int = 0
    """How many requests with a token are refused first: a role that has not spread yet."""
    requests: list[str] = field(default_factory=list)

    def answer(self, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        path, query = urlparse(target).path, parse_qs(urlparse(target).query)
        self.requests.append(path)
        if path.startswith("/metadata/"):
            if headers.get("Metadata") != "true":
                return 400, b"no header Metadata"
            if path.endswith("/token"):
                if query["client_id"] != [CLIENT_ID]:
                    return 400, b"no such identity"
                return 200, json.dumps({"access_token": f"for {query['resource'][0]}"}).encode()
            return 200, json.dumps(self.instance).encode()
        if path.startswith("/etcd/v2/keys/"):
            found = self.etcd.get(path.removeprefix("/etcd/v2/keys"))
            return (200, json.dumps({"node": found}).encode()) if found else (404, b"{}")
        if self.refusals:
            self.refusals -= 1
            return 403, b"AuthorizationPermissionMismatch"
        kind, _, name = path.removeprefix("/").partition("/")
        if (
            kind == "nodes"
            and headers.get("Authorization") == "Bearer for https://storage.azure.com"
        ):
            return (200, self.blobs[name]) if name in self.blobs else (404, b"BlobNotFound")
        if (
            kind == "secrets"
            and headers.get("Authorization") == "Bearer for https://vault.azure.net"
        ):
            if name in self.secrets:
                return 200, json.dumps({"value": self.secrets[name]}).encode()
            return 404, b"SecretNotFound"
        return 401, b"no token"


@dataclass(kw_only=True)
class NodeFolder:
    """The folder, with Azure around it."""

    root: Path
    azure: Azure
    url: str

    def file(self, path: str) -> Path:
        """A file by its path on the node."""
        return self.root / path.removeprefix("/")

    def write(self, path: str, text: str) -> None:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_text(text)

    def play(self, program: str, body: str = "") -> None:
        """A program that notes how it was called, and then does what `body` says."""
        stub = self.root / "stubs" / program
        stub.write_text(f'#!/bin/bash\necho "{program} $*" >> {self.root}/calls\n{body}\n')
        stub.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What programs were asked for, with the node's own paths."""
        noted = self.root / "calls"
        text = noted.read_text() if noted.exists() else ""
        return text.replace(str(self.root), "").splitlines()

    def run(
        self, script: str, *arguments: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the node to its end."""
        return subprocess.run(
            [self.file(f"/opt/bin/{script}"), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )

    @contextmanager
    def running(self, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A running script of the node; it is killed if it does not end on its own."""
        process = subprocess.Popen(
            [self.file(f"/opt/bin/{script}"), *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def environment(self) -> dict[str, str]:
        """Where programs are found: ours first."""
        return {"PATH": f"{self.root}/stubs:/usr/sbin:/usr/bin:/sbin:/bin"}

    def offer_blob(self, name: str, content: bytes) -> str:
        """Put a blob into the artefacts account; return its sha256."""
        self.azure.blobs[name] = content
        return hashlib.sha256(content).hexdigest()


@contextmanager
def node_folder(root: Path) -> Iterator[NodeFolder]:
    """A node that has booted as far as cloud-config."""
    azure = Azure()
    with _serving(azure) as url:
        node = NodeFolder(root=root, azure=azure, url=url)
        for folder in ("stubs", "run/lock", "var/tmp", "etc/ssh", "opt/bin", "var/lib/etcd"):
            (root / folder).mkdir(parents=True)
        for script in SCRIPTS.iterdir():
            copy = node.file(f"/opt/bin/{script.name}")
            copy.write_text(_moved(script.read_text(), root, url))
            copy.chmod(0o755)
        node.play("sleep")  # nobody waits in a test
        node.write(
            "/etc/fleet-node.conf",
            f"IDENTITY_CLIENT_ID={CLIENT_ID}\nARTEFACTS_URL={url}/nodes\nVAULT_URL={url}\n"
            f"CLUSTER_IMAGE_SHA256={'c' * 64}\n",
        )
        node.write("/run/node.env", "NODE_NAME=core-0\nNODE_IP=10.20.0.4\nNODE_ZONE=none\n")
        yield node


def _moved(script: str, root: Path, url: str) -> str:
    """A script with its absolute paths below `root`, that asks `url` instead of Azure and etcd."""
    own = re.sub(r"(?<![\w/.:])/(opt|etc|run|var|dev/disk)/", rf"{root}/\1/", script)
    own = own.replace("http://169.254.169.254", url).replace("http://127.0.0.1:2379", f"{url}/etcd")
    return own.replace("/opt --no-same-owner", f"{root}/opt --no-same-owner")


@contextmanager
def _serving(azure: Azure) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = azure.answer(self.path, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
