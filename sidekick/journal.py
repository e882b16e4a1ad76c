"""The node's journal: messages under the sidekick's unit, and the last lines of an instance."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from contract.registration import Registration

_TIMEOUT = 5.0


class Journal:
    """systemd's journal. https://systemd.io/JOURNAL_NATIVE_PROTOCOL/"""

    def __init__(self, path: Path, journalctl: Sequence[str]) -> None:
        """`path` is journald's socket; `journalctl` the command that reads the node's journal."""
        self._path = path
        self._journalctl = tuple(journalctl)

    def say(self, unit: str, registration: Registration, text: str) -> None:
        """`journalctl --unit` shows it as the unit's own."""
        fields = {
            "MESSAGE": f"{registration.service} {registration.instance}: {text}",
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": "sidekick",
            "OBJECT_SYSTEMD_UNIT": unit,
            "FLEET_SERVICE": registration.service,
        }
        if registration.customer_of:
            fields["FLEET_CUSTOMER_OF"] = registration.customer_of
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"".join(map(_field, fields, fields.values())), str(self._path))
        except OSError as error:
            print(f"{unit}: {text} (not in the journal: {error})", file=sys.stderr)

    def last_lines(self, registration: Registration) -> str:
        """The container's output, and messages before it ran, such as a missing image or secret."""
        command = [
            *self._journalctl,
            "--quiet",
            "--lines=5",
            "--output=cat",
            f"CONTAINER_NAME={registration.container}",
            "+",
            f"_SYSTEMD_UNIT={registration.app_unit}",
            "SYSLOG_IDENTIFIER=image-pull",
            "SYSLOG_IDENTIFIER=instance-secrets",
            "SYSLOG_IDENTIFIER=container-run",
        ]
        try:
            read = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            return f"(the journal could not be read: {error})"
        return read.stdout.decode(errors="replace").rstrip("\n")


def _field(name: str, value: str) -> bytes:
    """A field in the form that allows any value."""
    data = value.encode()
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
