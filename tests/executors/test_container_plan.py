"""A task's container: nothing of this machine but its own inputs and outputs, and no power."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError
from kdriver.executors.container_plan import (
    CLOSED,
    Limits,
    below_closed,
    container_user,
    is_orphan,
    limits_from,
    owner_of,
    plan_container,
    plan_mounts,
    task_environment,
)
from kdriver.executors.engine import Engine
from kdriver.executors.task import Task

DOCKER = Engine("unix:///a", "docker", "20.10", False)
PODMAN = Engine("unix:///b", "podman", "4.3", True)


def task(*, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> Task:
    env = {"PATH": "/opt/host/bin", "TMPDIR": "/var/host", "LD_LIBRARY_PATH": "/opt/lib", "LC_ALL": "C"}
    return Task(
        ("make", "modules"), Path("/work"), Path("/log"), 5, tuple(map(Path, reads)), tuple(map(Path, writes)), env
    )


def test_container_has_no_network_no_powers_and_limits() -> None:
    plan = plan_container(task(), "image:1", engine=DOCKER, user="65534:65534", labels={"a": "b"}, limits=Limits())
    assert plan["network_mode"] == "none"
    assert plan["read_only"] is True
    assert plan["cap_drop"] == ["ALL"]
    assert "no-new-privileges" in plan["security_opt"]
    assert plan["user"] == "65534:65534"
    assert plan["mem_limit"] == plan["memswap_limit"] == 2 << 30
    assert plan["pids_limit"] == 512
    assert plan["tmpfs"] == {"/tmp": "rw,nosuid,nodev,noexec,mode=1777,size=268435456"}
    assert (plan["command"], plan["working_dir"]) == (["make", "modules"], "/work")
    assert "userns_mode" not in plan
    assert "privileged" not in plan


def test_rootless_podman_keeps_the_callers_id() -> None:
    plan = plan_container(task(), "image:1", engine=PODMAN, user="1000:1000", labels={}, limits=Limits())
    assert plan["userns_mode"] == "keep-id"


def test_inputs_are_read_only_and_what_is_both_is_writable() -> None:
    mounts = plan_mounts(task(reads=("/headers", "/work", "/headers"), writes=("/work",)))
    assert mounts == ((Path("/headers"), False), (Path("/work"), True))


def test_places_of_this_machine_do_not_reach_the_container() -> None:
    env = task_environment(task().env)
    assert env == {"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.mark.parametrize(
    ("engine", "uid", "user"),
    [
        pytest.param(DOCKER, 0, "65534:65534", id="root is nobody there"),
        pytest.param(DOCKER, 1000, "1000:100", id="a plain user is himself"),
        pytest.param(Engine("", "docker", "", True), 1000, "0:0", id="root of rootless docker is the caller"),
        pytest.param(PODMAN, 1000, "1000:100", id="rootless podman"),
    ],
)
def test_user_is_never_the_machines_root(engine: Engine, uid: int, user: str) -> None:
    assert container_user(engine, uid, 100 if uid else 0) == user


def test_limits_come_from_the_environment() -> None:
    env = {"KDRIVER_CONTAINER_MEMORY": "512m", "KDRIVER_CONTAINER_PROCESSES": "64"}
    found = limits_from(env)
    assert (found.memory_bytes, found.processes) == (512 << 20, 64)
    assert limits_from({}) == Limits()


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"KDRIVER_CONTAINER_MEMORY": "much"}, id="memory"),
        pytest.param({"KDRIVER_CONTAINER_MEMORY": "0"}, id="no memory"),
        pytest.param({"KDRIVER_CONTAINER_PROCESSES": "-1"}, id="processes"),
    ],
)
def test_limits_that_are_none_are_refused(env: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="was expected"):
        limits_from(env)


def test_a_container_is_an_orphan_when_its_process_has_ended() -> None:
    assert not is_orphan(owner_of(os.getpid()))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = owner_of(child.pid)
        assert not is_orphan(owner)
        child.communicate(b"\n")
    assert is_orphan(owner)


def test_containers_of_other_machines_are_left_alone() -> None:
    assert not is_orphan("another-machine/999999999/1")
    assert not is_orphan("")


def test_containers_of_another_process_namespace_are_left_alone() -> None:
    machine, _, rest = owner_of(os.getpid()).partition("/")
    assert is_orphan(f"{machine}/999999999/1")
    host = machine.partition(",")[0]
    assert machine != host, "the name alone may be that of a container's host"
    assert not is_orphan(f"{host},pid:[1]/999999999/1")
    assert rest.startswith(f"{os.getpid()}/")


def test_mounts_below_root_s_home_need_a_stand_in_for_it() -> None:
    assert below_closed(task(reads=(f"{CLOSED}/.cache/headers", "/srv"))) == (Path(".cache/headers"),)
    assert below_closed(task(reads=("/srv", "/rooted"))) == ()
