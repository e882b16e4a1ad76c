"""All sidekicks of a node. What registered is kept in files, for the announcer after this one."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from contract.codec import Malformed
from contract.registration import Registration, read_registration
from sidekick.node import Node
from sidekick.watch import Watch

_UNIT = re.compile(r"[\w@.-]+\.service")

log = logging.getLogger(__name__)


class Announcer:
    """The watches of a node, by unit."""

    def __init__(self, folder: Path, node: Node) -> None:
        """`folder`: holds a file for each sidekick. On the node it is lost at a reboot, as its
        units are. A unit removes its file when it is gone (ExecStopPost)."""
        self._folder = folder
        self._node = node
        self._watches: dict[str, Watch] = {}
        self._lock = threading.Lock()

    def restore(self) -> None:
        """Continue where the previous announcer ended."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(self._folder.glob("*.service")):
            try:
                kept = json.loads(file.read_text())
                registration = read_registration(kept["form"])
            except (ValueError, KeyError, TypeError, Malformed) as error:
                log.error("%s can't be understood: %r", file, error)
                continue
            self._start(file.name, registration, is_leaving=kept["is_leaving"])

    def register(self, unit: str, form: Mapping[str, str]) -> None:
        """Check and announce an instance from now on. Raises Malformed."""
        registration = read_registration(form)
        if not _UNIT.fullmatch(unit):
            raise Malformed(f"{unit!r} is not the name of a service unit")
        with self._lock:
            before = self._watches.get(unit)
            if before is not None:
                if before.registration == registration and not before.is_ending:
                    return
                before.abandon()
                before.join()
            self._keep(unit, registration, is_leaving=False)
            self._start(unit, registration, is_leaving=False)

    def leave(self, unit: str) -> None:
        """Take an instance out of routing; return when it is drained."""
        with self._lock:
            watch = self._watches.get(unit)
            if watch is None:
                self._file(unit).unlink(missing_ok=True)
                return
            self._keep(unit, watch.registration, is_leaving=True)
            watch.leave()
        watch.join()
        with self._lock:
            if self._watches.get(unit) is watch:
                del self._watches[unit]
                self._file(unit).unlink(missing_ok=True)

    def _start(self, unit: str, registration: Registration, *, is_leaving: bool) -> None:
        file = self._file(unit)
        watch = Watch(unit, registration, self._node, is_wanted=file.exists, is_leaving=is_leaving)
        self._watches[unit] = watch
        watch.start()

    def _keep(self, unit: str, registration: Registration, *, is_leaving: bool) -> None:
        staged = self._folder / f"{unit}.new"
        staged.write_text(json.dumps({"form": registration.form(), "is_leaving": is_leaving}))
        staged.rename(self._file(unit))

    def _file(self, unit: str) -> Path:
        return self._folder / unit
