"""A processor share and a memory limit for a child process, as a memory setting of Lambda gives them.

By a cgroup of version 1 or 2 where this process may make one; else by whole processors alone, which is told.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from layer.registry.cost import MB_PER_VCPU

MOUNT = Path("/sys/fs/cgroup")
PERIOD = 20_000  # microseconds: a short one, so that a request of some milliseconds meets its share already
# Joins before the interpreter starts, which then is within the limits too.
JOIN = ["sh", "-c", 'for place in $BENCH_CGROUPS; do echo $$ > "$place/cgroup.procs"; done; exec "$@"', "sh"]


@dataclass(frozen=True)
class Limits:
    """The limits of a child: a prefix for its command, its environment, and `told`, a sentence for the report."""

    command: list[str]
    environ: dict[str, str]
    told: str


def quota(memory: int) -> int:
    """Return the microseconds of processors in each PERIOD that a setting in MB buys: one vCPU for each 1,769 MB."""
    return round(PERIOD * memory / MB_PER_VCPU)


def own_groups(text: str) -> dict[str, str]:
    """Read /proc/self/cgroup: the path of this process by controller of version 1; "" is version 2."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


@contextmanager
def limited(memory: int) -> Iterator[Limits]:
    """Limit a child to what a memory setting in MB gives; the cgroups are removed afterwards."""
    with ExitStack() as undo:
        try:
            places = _groups(memory, undo)
        except OSError as error:
            processors = max(1, round(memory / MB_PER_VCPU))
            cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:processors]))
            told = f"whole processors only, and no limit of memory: no cgroup could be made ({error.strerror})"
            yield Limits(["taskset", "-c", cores], {}, told)
            return
        told = f"cgroups of version {1 if len(places) > 1 else 2}"
        yield Limits(JOIN, {"BENCH_CGROUPS": " ".join(map(str, places))}, told)


def _groups(memory: int, undo: ExitStack) -> list[Path]:
    own = own_groups(Path("/proc/self/cgroup").read_text())
    name, size = f"openclip-bench-{os.getpid()}", str(memory * 2**20)
    if {"cpu", "memory"} <= set(own):
        places = {kind: _made(MOUNT / kind, own[kind], name, undo) for kind in ("cpu", "memory")}
        (places["cpu"] / "cpu.cfs_period_us").write_text(str(PERIOD))
        (places["cpu"] / "cpu.cfs_quota_us").write_text(str(quota(memory)))
        (places["memory"] / "memory.limit_in_bytes").write_text(size)
        swap = places["memory"] / "memory.memsw.limit_in_bytes"
        if swap.exists():
            swap.write_text(size)
        return list(places.values())
    parent = MOUNT / own.get("", "/").lstrip("/")
    (parent / "cgroup.subtree_control").write_text("+cpu +memory")
    place = _made(MOUNT, own.get("", "/"), name, undo)
    (place / "cpu.max").write_text(f"{quota(memory)} {PERIOD}")
    (place / "memory.max").write_text(size)
    if (place / "memory.swap.max").exists():
        (place / "memory.swap.max").write_text("0")
    return [place]


def _made(mount: Path, own: str, name: str, undo: ExitStack) -> Path:
    inside = mount / own.lstrip("/")  # it may be of another namespace
    place = (inside if inside.is_dir() else mount) / name
    place.mkdir(exist_ok=True)
    undo.callback(place.rmdir)
    return place
