"""The memory of a container's processes, without page cache."""

from __future__ import annotations

import re
from collections.abc import Mapping

import docker

from bench.report.results import Part

MEBIBYTE = 1024.0 * 1024.0


def working_memory(client: docker.DockerClient, name: str) -> float:
    """MiB of a container's cgroup, without the kernel's cache of files."""
    stats = client.containers.get(name).stats(stream=False)
    assert isinstance(stats, dict), "not streamed"
    memory = stats["memory_stats"]
    return without_cache(memory["usage"], memory["stats"]) / MEBIBYTE


def without_cache(usage: float, stats: Mapping[str, float]) -> float:
    """Bytes in use: by processes, by the kernel for them, and by tmpfs.

    cgroup v1 counts nested groups in `total_…`. Both versions count tmpfs as cache, though the
    kernel cannot drop it.
    """
    if "total_cache" in stats:
        return usage - stats["total_cache"] + stats.get("total_shmem", 0)
    return usage - stats["file"] + stats.get("shmem", 0) - stats.get("slab_reclaimable", 0)


def biggest(processes: str, anonymous: str, count: int) -> tuple[Part, ...]:
    """The programs with the most private memory, and the rest as one part.

    `processes` is what `ps -eo pid=,args=` prints, `anonymous` the lines
    `/proc/PID/smaps_rollup:Anonymous: N kB`.
    """
    names = {}
    for line in processes.splitlines():
        pid, _, arguments = line.strip().partition(" ")
        names[pid] = program(arguments)
    sizes: dict[str, float] = {}
    for pid, kibibytes in re.findall(r"/proc/(\d+)/smaps_rollup:Anonymous:\s+(\d+) kB", anonymous):
        if pid in names:
            sizes[names[pid]] = sizes.get(names[pid], 0) + int(kibibytes) / 1024
    ordered = sorted(sizes.items(), key=lambda one: -one[1])
    parts = [Part(title=name, value=size) for name, size in ordered[:count]]
    rest = sum(size for _, size in ordered[count:])
    return (*parts, Part(title=f"{len(ordered[count:])} other programs", value=rest))


def program(arguments: str) -> str:
    """What a command line runs: `etcd`, `router`, `docker run registry-1a2b`."""
    first, *others = arguments.split() or ["?"]
    name = first.rsplit("/", 1)[-1].rstrip(":")
    if name.startswith("python"):
        return _python(others) or name
    if name in ("docker", "bash", "sh") and others:
        shown = [re.sub(r".*/", "", one) for one in others if not one.startswith("-")]
        return " ".join([name, *shown[:1]])
    return name


def _python(arguments: list[str]) -> str:
    """The module or script of a Python command line."""
    while arguments and arguments[0].startswith("-"):
        flag, *arguments = arguments
        if flag == "-m" and arguments:
            return arguments[0]
    return arguments[0].rsplit("/", 1)[-1] if arguments else ""
