"""The guest's root file system: what cpio itself reads back, and the same bytes each time."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from kdriver.verifier.initramfs import Entry, character_device, folder, regular, symlink, write_initramfs

ENTRIES = (
    regular("init", b"\x7fELF program", executable=True),
    regular("etc/empty", b""),
    regular("drivers/kdriver.ko", bytes(range(256)) * 5),
    symlink("bin/sh", "/bin/busybox"),
    character_device("dev/console", 5, 1),
    folder("proc"),
)


def _cpio(archive: bytes, *options: str, cwd: Path) -> str:
    done = subprocess.run(["cpio", *options], input=archive, cwd=cwd, capture_output=True, check=True)
    return done.stdout.decode()


def test_cpio_lists_every_entry_with_its_type_and_parents_first(tmp_path: Path) -> None:
    listed = [line.split() for line in _cpio(write_initramfs(ENTRIES), "-tv", cwd=tmp_path).splitlines()]
    names = [row[-1] if "->" not in row else row[row.index("->") - 1] for row in listed]
    assert names == ["init", "etc", "etc/empty", "drivers", "drivers/kdriver.ko", "bin", "bin/sh", "dev",
                     "dev/console", "proc"]  # fmt: skip
    kinds = {name: row[0] for name, row in zip(names, listed, strict=True)}
    assert kinds["init"] == "-rwxr-xr-x"
    assert kinds["dev/console"] == "crw-------"
    assert kinds["bin/sh"] == "lrwxrwxrwx"
    assert kinds["proc"] == "drwxr-xr-x"
    console = listed[names.index("dev/console")]
    assert "5," in console and "1" in console


def test_cpio_unpacks_the_same_content(tmp_path: Path) -> None:
    plain = [entry for entry in ENTRIES if not stat.S_ISCHR(entry.mode)]
    _cpio(write_initramfs(plain), "-idm", "--quiet", cwd=tmp_path)
    assert (tmp_path / "drivers/kdriver.ko").read_bytes() == bytes(range(256)) * 5
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "etc/empty").read_bytes() == b""


def test_equal_entries_give_equal_bytes() -> None:
    assert write_initramfs(ENTRIES) == write_initramfs(list(ENTRIES))
    assert len(write_initramfs(ENTRIES)) % 512 == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("/init", "/init: is no plain relative path", id="absolute"),
        pytest.param("a/../b", "a/../b: is no plain relative path", id="upwards"),
        pytest.param("a//b", "a//b: is no plain relative path", id="empty-part"),
    ],
)
def test_a_path_that_leaves_the_archive_is_refused(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write_initramfs([regular(path, b"")])


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="init: occurs twice in the initramfs"):
        write_initramfs([regular("init", b"a"), Entry("init", stat.S_IFREG | 0o644, b"b")])
