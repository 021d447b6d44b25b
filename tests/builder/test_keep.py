"""The cache is kept below its limit, the longest unused goes first, and nothing that a running build uses."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import IO

import pytest

from builder.keep import build_running, list_items, parse_size, prune
from kdriver.core.errors import ConfigError

NOW = time.time()


def item(cache: Path, store: str, name: str, size_bytes: int, age_s: float) -> Path:
    path = cache / store / name
    file = path if path.suffix == ".json" else path / "content"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(size_bytes))
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    item(tmp_path, "headers", "old", 1000, 3000)
    item(tmp_path, "downloads", "ab/abcd", 500, 2000)
    item(tmp_path, "artifacts", "middle", 300, 1000)
    item(tmp_path, "probes", "new.json", 10, 10)
    item(tmp_path, "verdicts", "evidence", 9999, 9999)
    return tmp_path


def names(cache: Path) -> list[str]:
    return [one.path.name for one in list_items(cache)]


def test_items_are_listed_by_their_last_use_and_verdicts_are_none(cache: Path) -> None:
    assert names(cache) == ["old", "abcd", "middle", "new.json"]
    assert [one.size_bytes for one in list_items(cache)] == [1000, 500, 300, 10]


def test_longest_unused_goes_until_the_rest_fits(cache: Path) -> None:
    done = prune(cache, limit_bytes=400, max_age_s=None)
    assert [one.path.name for one in done.items] == ["old", "abcd"]
    assert (done.freed_bytes, done.left_bytes, done.kept) == (1500, 310, 0)
    assert names(cache) == ["middle", "new.json"]
    assert (cache / "verdicts/evidence").is_dir()
    assert not list((cache / "headers").glob(".pruned-*"))


def test_what_is_too_old_goes_whatever_the_size(cache: Path) -> None:
    assert [one.path.name for one in prune(cache, limit_bytes=None, max_age_s=1500, now=NOW).items] == ["old", "abcd"]


def test_dry_run_takes_nothing(cache: Path) -> None:
    assert len(prune(cache, limit_bytes=0, max_age_s=None, dry_run=True).items) == 4
    assert len(names(cache)) == 4


def test_what_was_used_since_a_running_build_began_stays(cache: Path) -> None:
    with build_running(cache):
        (running,) = (cache / "running").iterdir()
        os.utime(running, (NOW - 1500, NOW - 1500))
        done = prune(cache, limit_bytes=0, max_age_s=None)
        assert [one.path.name for one in done.items] == ["old", "abcd"]
        assert done.kept == 2
    assert len(prune(cache, limit_bytes=0, max_age_s=None).items) == 2, "it has ended"


def test_build_that_was_killed_protects_nothing(cache: Path) -> None:
    (cache / "running").mkdir()
    (cache / "running/build-killed").touch()
    assert prune(cache, limit_bytes=0, max_age_s=None).kept == 0
    assert not list((cache / "running").iterdir())


def test_build_whose_file_was_taken_before_it_was_locked_makes_another(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    taken: list[Path] = []

    def late(file: IO[bytes], operation: int) -> None:
        if operation == fcntl.LOCK_SH and not taken:
            taken.extend((cache / "running").iterdir())
            taken[0].unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with build_running(cache):
        assert len(taken) == 1
        (running,) = (cache / "running").iterdir()
        assert running != taken[0]
        os.utime(running, (NOW - 5000, NOW - 5000))
        assert prune(cache, limit_bytes=0, max_age_s=None).kept == 4
    assert not list((cache / "running").iterdir())


def test_what_may_not_be_taken_stays_and_the_rest_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "middle":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done = prune(cache, limit_bytes=0, max_age_s=None)
    assert ([one.path.name for one in done.items], done.kept) == (["old", "abcd", "new.json"], 1)
    assert names(cache) == ["middle"]
    assert not list((cache / "artifacts").glob(".pruned-*"))


def test_header_tree_that_somebody_looks_at_now_stays(cache: Path) -> None:
    with (cache / "headers/.old.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert prune(cache, limit_bytes=0, max_age_s=None).kept == 1
    assert names(cache) == ["old"]


def test_download_that_goes_on_stays(cache: Path) -> None:
    folder = cache / "downloads/ab/abcd"
    used = folder.stat().st_mtime
    (folder / "linux.deb.part").touch()
    os.utime(folder, (used, used))
    assert prune(cache, limit_bytes=0, max_age_s=None).kept == 1


@pytest.mark.parametrize(("text", "size_bytes"), [("20G", 20 * 10**9), ("1.5 MB", 1_500_000), ("7", 7), ("3k", 3000)])
def test_sizes_are_read_as_they_are_printed(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


def test_what_is_no_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no size"):
        parse_size("many")
