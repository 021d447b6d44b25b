"""Header trees in memory: how much they may take, that builds share them, and that nothing of them stays behind."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.keep import memory_folder, memory_items
from builder.memory import (
    MEMORY_VARIABLE,
    MOST_BYTES,
    TREE_BYTES,
    Memory,
    give_up,
    plan_limit,
    read_memory,
    room_in_memory,
)
from kdriver.cli import run
from kdriver.core.errors import ConfigError, ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

GIB = 1 << 30
pytestmark = pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="this machine has no /dev/shm")


@pytest.fixture(autouse=True)
def in_memory(site: BuildSite, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Builds may take memory, and what they took is given back."""
    monkeypatch.setenv(MEMORY_VARIABLE, "1G")
    yield
    shutil.rmtree(memory_folder(site.cache), ignore_errors=True)


def build(kernel: str, source: Path = TOY_DRIVER) -> None:
    assert run(["build", "--kernel", kernel, "--kind", "kmod", "--driver-src", str(source)]) == ExitCode.DONE


def on_disk(site: BuildSite) -> list[Path]:
    return list((site.cache / "headers").glob("[!.]*"))


@pytest.mark.parametrize(
    ("asked", "memory", "limit"),
    [
        pytest.param(None, Memory(8 * GIB, 4 * GIB), GIB // 2, id="an eighth of what is left"),
        pytest.param(None, Memory(64 * GIB, 60 * GIB), MOST_BYTES, id="2 GB at most"),
        pytest.param(None, Memory(8 * GIB, GIB - 1), 0, id="none where memory is scarce"),
        pytest.param(None, Memory(0, 0), 0, id="none where nothing is known"),
        pytest.param("0", Memory(64 * GIB, 60 * GIB), 0, id="none where nobody wants it"),
        pytest.param("3G", Memory(8 * GIB, GIB), 3_000_000_000, id="as much as somebody says"),
    ],
)
def test_limit_follows_what_the_machine_has_left(asked: str | None, memory: Memory, limit: int) -> None:
    assert plan_limit(asked, memory) == limit


def test_a_limit_that_is_no_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no size"):
        plan_limit("much", Memory(GIB, GIB))


def test_the_control_group_s_limit_counts(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    assert read_memory(tmp_path) == Memory(8 * GIB, 4 * GIB)
    (group / "memory.max").write_text("max\n")
    assert read_memory(tmp_path) == Memory(8 * GIB, 4 * GIB)
    (group / "memory.max").write_text(f"{2 * GIB}\n")
    (group / "memory.current").write_text(f"{GIB}\n")
    assert read_memory(tmp_path) == Memory(2 * GIB, GIB)


def test_builds_share_a_tree_in_memory_and_the_cache_tells_of_it(
    site: BuildSite, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = site.add().release
    build(kernel)
    (item,) = memory_items(site.cache)
    assert not on_disk(site)
    assert item.path.parent.stat().st_mode & 0o022 == 0
    source = site.driver_source()
    (source / "kmod" / "toy.c").open("a").write("/* changed */\n")
    requests = len(site.server.requests)
    build(kernel, source)
    assert len(site.server.requests) == requests
    assert [one.path for one in memory_items(site.cache)] == [item.path]
    capsys.readouterr()
    assert run(["cache", "show", "--json"]) == ExitCode.DONE
    stores = {one["store"]: one for one in json.loads(capsys.readouterr().out)["stores"]}
    assert stores["headers in memory"]["items"] == 1 and "headers" not in stores
    assert run(["cache", "prune", "--max-size", "0"]) == ExitCode.DONE
    assert not item.path.exists()


def test_what_has_no_room_goes_to_disk(site: BuildSite, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = site.add(), site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1"))
    monkeypatch.setenv(MEMORY_VARIABLE, str(TREE_BYTES + 1))
    build(first.release)
    build(second.release)
    assert len(memory_items(site.cache)) == len(on_disk(site)) == 1


def test_what_a_killed_build_left_is_removed_by_the_next(site: BuildSite) -> None:
    kernel = site.add().release
    build(kernel)
    (item,) = memory_items(site.cache)
    half = item.path.with_name(f".{item.path.name}.killed")
    item.path.rename(half)
    source = site.driver_source()
    (source / "kmod" / "toy.c").open("a").write("/* changed */\n")
    build(kernel, source)
    assert item.path.is_dir() and not half.exists()


def test_old_trees_and_those_of_caches_that_are_gone_are_given_up(site: BuildSite) -> None:
    build(site.add().release)
    (item,) = memory_items(site.cache)
    give_up(site.cache)
    assert item.path.is_dir()
    os.utime(item.path, (time.time() - 90_000,) * 2)
    give_up(site.cache)
    assert not item.path.exists()
    site.cache.rename(site.folder / "elsewhere")
    give_up(site.folder / "other")
    assert not memory_folder(site.cache).exists()


def test_a_folder_that_others_may_write_to_is_not_used(site: BuildSite) -> None:
    folder = room_in_memory(site.cache)
    assert folder == memory_folder(site.cache)
    folder.chmod(0o777)
    assert room_in_memory(site.cache) is None
