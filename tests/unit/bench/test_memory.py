"""Memory without page cache, for both versions of cgroups, and programs by their names."""

from __future__ import annotations

import pytest

from bench.memory import biggest, program, without_cache

PROCESSES = """
    1 /sbin/init
   40 /opt/bin/etcd
   41 /opt/bin/fleetd
  100 nginx: worker process
  101 nginx: master process /usr/sbin/nginx -c /run/router/http.conf
"""
ANONYMOUS = """
/proc/1/smaps_rollup:Anonymous:          2048 kB
/proc/40/smaps_rollup:Anonymous:        51200 kB
/proc/41/smaps_rollup:Anonymous:         4096 kB
/proc/100/smaps_rollup:Anonymous:        3072 kB
/proc/101/smaps_rollup:Anonymous:        3072 kB
/proc/999/smaps_rollup:Anonymous:        9999 kB
"""


def test_cgroup_v1_counts_the_cache_of_nested_groups_but_tmpfs_is_no_cache() -> None:
    stats = {"cache": 1, "total_cache": 600, "total_shmem": 50}

    assert without_cache(1000, stats) == 450


def test_cgroup_v2_counts_what_the_kernel_could_give_back_as_cache() -> None:
    assert without_cache(1000, {"file": 600, "shmem": 50, "slab_reclaimable": 30}) == 420


def test_the_biggest_programs_are_named_and_the_rest_is_one() -> None:
    parts = biggest(PROCESSES, ANONYMOUS, 2)

    assert [(part.title, part.value) for part in parts] == [
        ("etcd", 50),
        ("nginx", 6),
        ("2 other programs", 6),
    ]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("/opt/bin/etcd --name core-0", "etcd"),
        ("nginx: worker process", "nginx"),
        ("python3 -m router", "router"),
        ("/usr/bin/python3 -u /srv/app.py --port 80", "app.py"),
        ("python3", "python3"),
        ("bash /opt/bin/container-run", "bash container-run"),
        ("/usr/bin/docker run --rm --name router-1 image", "docker run"),
        ("", "?"),
    ],
)
def test_a_program_is_named_by_what_it_runs(arguments: str, name: str) -> None:
    assert program(arguments) == name
