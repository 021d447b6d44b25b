"""How a container is set up for one task: a pure function of the task, for the engine's API.

What runs there gets its own inputs read-only, its own outputs, a tmpfs, and nothing else: no network, no writable
root, no capabilities, no way to gain any, a plain user, and limits on memory, processes and processors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError
from kdriver.executors.engine import Engine
from kdriver.executors.task import Task

LABEL = "io.kdriver.run"
OWNER_LABEL = "io.kdriver.owner"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_THE_HOST = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")
"""Variables of a task's environment that say where things are on this machine."""
_NOBODY = "65534:65534"
CLOSED = Path("/root")
"""A folder that images close to all but root; a cache may be below it."""
_SELINUX = Path("/sys/fs/selinux/enforce")
_MEMORY_VARIABLE = "KDRIVER_CONTAINER_MEMORY"
_PROCESSES_VARIABLE = "KDRIVER_CONTAINER_PROCESSES"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use. tmp_bytes: of its /tmp, which counts as memory. log_bytes: what the engine keeps of
    its output; the task's own log is whole."""

    memory_bytes: int = 2 << 30
    processes: int = 512
    tmp_bytes: int = 256 << 20
    log_bytes: int = 16 << 20


def limits_from(env: Mapping[str, str]) -> Limits:
    """The limits, with KDRIVER_CONTAINER_MEMORY (`4g`) and KDRIVER_CONTAINER_PROCESSES. Raises ConfigError."""
    default = Limits()
    memory, processes = env.get(_MEMORY_VARIABLE, ""), env.get(_PROCESSES_VARIABLE, "")
    found = re.fullmatch(r"(\d+)([kmg]?)b?", memory.lower())
    if memory and (found is None or int(found[1]) == 0):
        raise ConfigError(f"{_MEMORY_VARIABLE}={memory}: a size such as 2g or 512m was expected")
    if processes and (not processes.isdecimal() or int(processes) == 0):
        raise ConfigError(f"{_PROCESSES_VARIABLE}={processes}: a number such as 512 was expected")
    return Limits(
        int(found[1]) * _UNITS[found[2]] if found else default.memory_bytes,
        int(processes) if processes else default.processes,
    )


def container_user(engine: Engine, uid: int, gid: int) -> str:
    """Whom a task runs as: never the machine's root. A plain caller is himself, so that he owns what is written; for
    root it is nobody. In the containers of a rootless docker, root is the caller."""
    if engine.rootless and engine.name == "docker":
        return "0:0"
    return _NOBODY if uid == 0 else f"{uid}:{gid}"


def task_environment(env: Mapping[str, str]) -> dict[str, str]:
    """A task's environment inside a container: without what names places of this machine."""
    return {**{name: value for name, value in env.items() if name not in _OF_THE_HOST}, "PATH": _PATH}


def plan_container(
    task: Task, image: str, *, engine: Engine, user: str, labels: Mapping[str, str], limits: Limits
) -> dict[str, Any]:
    """The arguments of the SDK's `containers.create` for a task, but for the mounts: see plan_mounts."""
    options = ["no-new-privileges"]
    if _SELINUX.is_file() and _SELINUX.read_text().strip() == "1":
        # A bind mount keeps the labels of its files, which a confined container may not read.
        options.append("label=disable")
    plan: dict[str, Any] = {
        "image": image,
        "command": list(task.argv),
        "entrypoint": [],
        "working_dir": str(task.cwd),
        "environment": task_environment(task.env),
        "user": user,
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={limits.tmp_bytes}"},
        "cap_drop": ["ALL"],
        "security_opt": options,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "pids_limit": limits.processes,
        "labels": dict(labels),
        "log_config": log_config(engine, limits),
        "detach": True,
    }
    if engine.rootless and engine.name == "podman":
        plan["userns_mode"] = "keep-id"
    return plan


def log_config(engine: Engine, limits: Limits) -> dict[str, Any]:
    """The engine's own copy of the output, bounded."""
    if engine.name == "podman":
        return {"Type": "k8s-file", "Config": {"max-size": str(limits.log_bytes)}}
    return {"Type": "json-file", "Config": {"max-size": str(limits.log_bytes), "max-file": "1"}}


def plan_mounts(task: Task) -> tuple[tuple[Path, bool], ...]:
    """What is mounted at its own path, and whether it is writable; what stands in both lists is writable."""
    writes = dict.fromkeys(task.writes)
    return tuple((path, path in writes) for path in dict.fromkeys((*task.reads, *task.writes)))


def below_closed(task: Task) -> tuple[Path, ...]:
    """The mounts of a task below the folder that images close: another one must stand in for it."""
    return tuple(path.relative_to(CLOSED) for path, _ in plan_mounts(task) if path.is_relative_to(CLOSED))


def owner_of(pid: int) -> str:
    """What tells whether the process that started a container still lives: machine, process id and start time. The
    machine is its name and the process namespace: a kdriver in a container may have the name of its host, and its
    engine, but other processes."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        started = stat.read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = ""
    return f"{_machine()}/{pid}/{started}"


def _machine() -> str:
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{os.uname().nodename},{namespace}"


def is_orphan(owner: str) -> bool:
    """Whether a container's owner was a process of this machine that has ended."""
    machine, _, rest = owner.partition("/")
    pid = rest.partition("/")[0]
    return machine == _machine() and pid.isdecimal() and owner_of(int(pid)) != owner
