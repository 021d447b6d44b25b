"""Header trees in memory: how much they may take, that builds share them, and that nothing of them stays behind."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.headers import kept_build_dir, prepare_headers
from builder.keep import IN_MEMORY, SHM, Item, memory_folder, memory_items, take_out
from builder.memory import (
    MEMORY_VARIABLE,
    MOST_BYTES,
    TREE_BYTES,
    Memory,
    give_up,
    is_usable,
    plan_limit,
    read_memory,
    room_in_memory,
)
from kdriver.cli import run
from kdriver.core.errors import ConfigError, ExitCode, IntegrityError, KdriverError
from kdriver.core.kernel import Kernel, Package
from kdriver.packages.deb import unpack_deb
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

GIB = 1 << 30
pytestmark = pytest.mark.skipif(
    not os.access(SHM, os.W_OK) or not is_usable(SHM) or read_memory().scarce,
    reason="this machine has no room for headers in /dev/shm, or no programs may be run there",
)


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


def as_a_link(folder: Path, elsewhere: Path) -> None:
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


def as_one_for_all(folder: Path, elsewhere: Path) -> None:
    folder.chmod(0o777)


def as_one_for_the_group(folder: Path, elsewhere: Path) -> None:
    folder.chmod(0o775)


def as_another_user_s(folder: Path, elsewhere: Path) -> None:
    os.chown(folder, 12345, 12345)


@pytest.mark.parametrize("above", [False, True], ids=["the cache's folder", "the user's folder"])
@pytest.mark.parametrize(
    "change",
    [
        as_a_link,
        as_one_for_all,
        as_one_for_the_group,
        pytest.param(
            as_another_user_s, marks=pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
        ),
    ],
)
def test_tree_that_somebody_else_may_have_put_there_is_neither_used_nor_removed(
    change: Callable[[Path, Path], None], above: bool, site: BuildSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of this test's own in memory: the user's may hold trees that are in use.
    own = Path(f"{memory_folder(site.cache)}-test")
    monkeypatch.setattr("builder.keep.SHM", own)
    own.mkdir(parents=True)
    try:
        kernel = site.add()
        build(kernel.release)
        (item,) = memory_items(site.cache)
        assert kept_build_dir(kernel, site.cache / "headers") is not None
        folder = memory_folder(site.cache)
        change(folder.parent if above else folder, own / "elsewhere")
        os.utime(item.path, (1, 1))
        assert item.path.is_dir() and not memory_items(site.cache)
        assert kept_build_dir(kernel, site.cache / "headers") is None
        assert not take_out(site.cache, Item(IN_MEMORY, item.path, 1, 1))
        (folder / "of").write_text("/nowhere")
        give_up(site.cache)
        assert item.path.is_dir()
        source = site.driver_source()
        (source / "kmod" / "toy.c").open("a").write("/* changed */\n")
        build(kernel.release, source)
        assert len(on_disk(site)) == 1
    finally:
        shutil.rmtree(own)


def test_tree_in_memory_is_not_looked_for_where_memory_is_not_wanted(
    site: BuildSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = site.add()
    build(kernel.release)
    assert kept_build_dir(kernel, site.cache / "headers") is not None
    monkeypatch.setenv(MEMORY_VARIABLE, "0")
    assert kept_build_dir(kernel, site.cache / "headers") is None


@pytest.mark.parametrize("wrapped", [False, True], ids=["as the system says it", "as an unpacker says it"])
def test_tree_goes_to_disk_where_memory_is_full_before_it_is_whole(site: BuildSite, wrapped: bool) -> None:
    kernel = site.add()
    full = OSError(errno.ENOSPC, "No space left on device")

    def fetch(kernel: Kernel, package: Package) -> Path:
        return site.folder / "mirror/debian" / package.path

    def unpack(package: Path, into: Path, members: Callable[[str], bool]) -> None:
        unpack_deb(package, into, members=members)
        if into.is_relative_to(SHM):
            if not wrapped:
                raise full
            raise KdriverError("no space left") from full

    def damaged(package: Path, into: Path, members: Callable[[str], bool]) -> None:
        raise IntegrityError(f"{package.name}: is damaged")

    with pytest.raises(IntegrityError):
        prepare_headers(kernel, site.cache / "headers", fetch, damaged)
    tree = prepare_headers(kernel, site.cache / "headers", fetch, unpack)
    assert tree.root.is_relative_to(site.cache)
    assert not list(memory_folder(site.cache).glob(".*"))


def test_tree_that_is_being_unpacked_takes_its_room(site: BuildSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, str(2 * TREE_BYTES))
    folder = room_in_memory(site.cache)
    assert folder is not None
    (folder / ".one.xxxx").mkdir()
    assert room_in_memory(site.cache) == folder
    (folder / ".two.xxxx").mkdir()
    assert room_in_memory(site.cache) is None


def test_half_trees_that_no_build_unpacks_any_more_are_swept(site: BuildSite) -> None:
    folder = room_in_memory(site.cache)
    assert folder is not None
    dead, alive, pruned = (folder / name for name in (".dead.xxxx", ".alive.xxxx", ".pruned-xxxx"))
    for path in (dead, alive, pruned):
        path.mkdir()
    locks = site.cache / "headers"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / ".alive.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        give_up(site.cache)
        assert alive.is_dir() and not dead.exists() and not pruned.exists()
    give_up(site.cache)
    assert not alive.exists()
