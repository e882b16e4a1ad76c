"""A docker daemon for sidekicks: one container, whose commands run on this machine."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

CONTAINER = "api-0badcafe-1"


class FakeDocker:
    """docker, with the container of the instance. It can be away, as during a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: _Server | None = None
        self.container: dict[str, Any] | None = None
        self.health: str | None = None  # of docker's own health check
        self.executions: list[subprocess.Popen[bytes]] = []
        self.process = subprocess.Popen(["sleep", "600"])
        self.start()

    def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = _Server(self._path, self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Containers live on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self._path.unlink()

    def runs(self, ports: dict[str, str]) -> None:
        """The container runs, with these ports published on these ports of the node."""
        published = {
            port: [{"HostIp": "127.0.0.1", "HostPort": number}] for port, number in ports.items()
        }
        self.container = _description({"Running": True, "Pid": self.process.pid}, published)

    def dies(self, code: int) -> None:
        """The container ends, and docker says how."""
        self.container = _description({"Running": False, "Pid": 0, "ExitCode": code}, {})
        self.process.kill()
        self.process.wait()

    def is_replaced(self) -> None:
        """systemd starts another container; it has ports once it `runs`."""
        self.process = subprocess.Popen(["sleep", "600"])

    def close(self) -> None:
        self.stop()
        for process in self.executions:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, docker: FakeDocker) -> None:
        super().__init__(str(path), _Handler)
        self.docker = docker


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        docker, parts = self.server.docker, self.path.split("/")
        match parts[1:]:
            case ["containers", name, "json"] if name == CONTAINER and docker.container:
                state = dict(docker.container["State"])
                if docker.health is not None:
                    state["Health"] = {"Status": docker.health}
                self._answer(200, docker.container | {"State": state})
            case ["containers", name, "json"]:
                self._answer(404, {"message": f"No such container: {name}"})
            case ["exec", number, "json"]:
                process = docker.executions[int(number)]
                code = process.poll()
                self._answer(200, {"Running": code is None, "ExitCode": code, "Pid": process.pid})
            case _:
                raise AssertionError(self.path)

    def do_POST(self) -> None:
        docker, parts = self.server.docker, self.path.split("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match parts[1:]:
            case ["containers", name, "exec"]:
                assert name == CONTAINER
                docker.executions.append(
                    subprocess.Popen(
                        body["Cmd"],
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
                self._answer(201, {"Id": str(len(docker.executions) - 1)})
            case ["exec", number, "start"]:
                self.send_response(200)
                self.end_headers()
                self._stream(docker.executions[int(number)])
            case _:
                raise AssertionError(self.path)

    def _stream(self, process: subprocess.Popen[bytes]) -> None:
        """Frames, as docker has them without a terminal."""
        assert process.stdout is not None
        while part := os.read(process.stdout.fileno(), 4096):
            self.wfile.write(b"\1\0\0\0" + len(part).to_bytes(4) + part)
        process.wait()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def address_string(self) -> str:
        return "announcer"

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


def _description(state: dict[str, Any], ports: dict[str, Any]) -> dict[str, Any]:
    return {"Name": f"/{CONTAINER}", "State": state, "NetworkSettings": {"Ports": ports}}
