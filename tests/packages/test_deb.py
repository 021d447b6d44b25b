"""Reading and unpacking Debian packages: every compression, only what was asked for, nothing outside."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from kdriver.core.errors import ExitCode, IntegrityError, KdriverError, NotFoundError
from kdriver.packages.deb import list_deb, read_control, unpack_deb
from kdriver.packages.kernel_files import find_kernel_image, find_modules_dir, kernel_image_names
from tests.fakes.debs import write_deb

FILE, LINK, HARD, FOLDER, FIFO = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE


def damaged(deb: Path, into: Path) -> str:
    """Unpack, which must be refused with a hint, and return the message."""
    with pytest.raises(IntegrityError) as caught:
        unpack_deb(deb, into)
    assert caught.value.hint and caught.value.exit_code == ExitCode.INTEGRITY
    assert caught.value.message.startswith(deb.name)
    return caught.value.message


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [
        pytest.param(lzma.compress, ".xz", id="xz"),
        pytest.param(zstd.compress, ".zst", id="zst"),
        pytest.param(gzip.compress, ".gz", id="gz"),
        pytest.param(bz2.compress, ".bz2", id="bz2"),
        pytest.param(bytes, "", id="none"),
    ],
)
def test_every_compression_is_read(tmp_path: Path, compress: Callable[[bytes], bytes], suffix: str) -> None:
    deb = write_deb(tmp_path / "a.deb", [("./usr/a", FILE, b"content")], compress=compress, suffix=suffix)
    assert unpack_deb(deb, tmp_path / "tree") == ("usr/a",)
    assert (tmp_path / "tree/usr/a").read_bytes() == b"content"
    assert read_control(deb) == {"Package": "made", "Version": "1.0"}
    assert list_deb(deb) == ("usr/a",)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb, which makes the package, is not installed")
def test_a_package_of_dpkg_deb_unpacks_as_dpkg_deb_unpacks_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_text(
        "Package: real\nVersion: 1.0-1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: a\n b\n"
    )
    long = "a" * 90 + "/" + "b" * 90
    (source / long).parent.mkdir(parents=True)
    (source / long).write_bytes(os.urandom(3 << 20))
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to(long)
    (source / "hard").hardlink_to(source / "run")
    deb = tmp_path / "real.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", source, deb], check=True, capture_output=True)
    subprocess.run(["dpkg-deb", "-x", deb, tmp_path / "theirs"], check=True)
    unpack_deb(deb, tmp_path / "ours")
    subprocess.run(["diff", "-r", "--no-dereference", tmp_path / "ours", tmp_path / "theirs"], check=True)
    assert (tmp_path / "ours/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "ours" / long).stat().st_mtime == (tmp_path / "theirs" / long).stat().st_mtime
    assert read_control(deb)["Description"] == "a\nb"


def test_only_the_members_asked_for_are_unpacked(tmp_path: Path) -> None:
    members = [("./boot", FOLDER, b""), ("./boot/vmlinuz-1", FILE, b"k"), ("./lib/modules/1/a.ko", FILE, b"m")]
    deb = write_deb(tmp_path / "a.deb", members)
    names = unpack_deb(deb, tmp_path / "tree", members=lambda name: name.startswith("boot/"))
    assert names == ("boot/vmlinuz-1",)
    assert sorted(path.name for path in (tmp_path / "tree").iterdir()) == ["boot"]


def test_with_a_count_the_rest_is_not_even_read(tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "a.deb", [("./first", FILE, b"1"), ("./rest", FILE, os.urandom(4 << 20))])
    content = bytearray(deb.read_bytes())
    content[-2_000_000] ^= 0xFF
    deb.write_bytes(bytes(content))
    assert unpack_deb(deb, tmp_path / "tree", count=1) == ("first",)
    damaged(deb, tmp_path / "whole")


def test_several_packages_go_into_one_folder(tmp_path: Path) -> None:
    first = write_deb(tmp_path / "1.deb", [("./usr/src/a/x", FILE, b"1"), ("./usr/src/link", LINK, b"a")])
    second = write_deb(tmp_path / "2.deb", [("./usr/src/link/y", FILE, b"2"), ("./usr/src/a/x", FILE, b"new")])
    unpack_deb(first, tmp_path / "tree")
    unpack_deb(second, tmp_path / "tree")
    assert (tmp_path / "tree/usr/src/a/y").read_bytes() == b"2"
    assert (tmp_path / "tree/usr/src/a/x").read_bytes() == b"new"


def test_absolute_links_are_mended_inside_the_folder(tmp_path: Path) -> None:
    members = [
        ("./lib/modules/1/build", LINK, b"/usr/src/headers-1"),
        ("./usr/src/headers-1/Makefile", FILE, b"all:"),
        ("./usr/src/headers-1/scripts", LINK, b"../../lib/kbuild/scripts"),
    ]
    unpack_deb(write_deb(tmp_path / "a.deb", members), tmp_path / "tree")
    build = tmp_path / "tree/lib/modules/1/build"
    assert build.readlink() == Path("../../../usr/src/headers-1")
    assert (build / "Makefile").read_bytes() == b"all:"
    assert (tmp_path / "tree/usr/src/headers-1/scripts").readlink() == Path("../../lib/kbuild/scripts")


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([("../out", FILE, b"x")], id="dots"),
        pytest.param([("./a/../../out", FILE, b"x")], id="dots-inside"),
        pytest.param([("./link", LINK, b"../out")], id="link-up"),
        pytest.param([("./d/link", LINK, b"../../out")], id="link-up-from-below"),
        pytest.param([("./link", LINK, b"/../out")], id="absolute-link-up"),
        pytest.param([("./hard", HARD, b"../out")], id="hard-link-up"),
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, members: list[tuple[str, bytes, bytes]]) -> None:
    (tmp_path / "out").write_text("precious")
    message = damaged(write_deb(tmp_path / "a.deb", members), tmp_path / "tree")
    assert "outside the folder" in message
    assert (tmp_path / "out").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.deb", "out", "tree"]


def test_absolute_names_land_inside(tmp_path: Path) -> None:
    unpack_deb(write_deb(tmp_path / "a.deb", [("/etc/x", FILE, b"x")]), tmp_path / "tree")
    assert (tmp_path / "tree/etc/x").read_bytes() == b"x"


def test_a_file_behind_a_link_of_the_same_package_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    members = [("./d", LINK, str(tmp_path / "out").encode()), ("./d/x", FILE, b"x")]
    damaged(write_deb(tmp_path / "a.deb", members), tmp_path / "tree")
    assert not list((tmp_path / "out").iterdir())


def test_a_chain_of_links_leads_nowhere_outside(tmp_path: Path) -> None:
    members = [("./a/b/up", LINK, b"../.."), ("./a/b/out", LINK, b"up/../.."), ("./a/b/out2", LINK, b"up/..")]
    unpack_deb(write_deb(tmp_path / "a.deb", members), tmp_path / "tree")
    root = (tmp_path / "tree").resolve()
    for name in ("up", "out", "out2"):
        assert (root / "a/b" / name).resolve().is_relative_to(root)


def test_a_hard_link_to_a_link_of_an_earlier_package_stays_inside(tmp_path: Path) -> None:
    first = [("./x", FILE, b"inside"), ("./a/b/link", LINK, b"../../x")]
    unpack_deb(write_deb(tmp_path / "1.deb", first), tmp_path / "tree")
    unpack_deb(write_deb(tmp_path / "2.deb", [("./hard", HARD, b"a/b/link")]), tmp_path / "tree")
    assert (tmp_path / "tree/hard").resolve().is_relative_to((tmp_path / "tree").resolve())
    assert (tmp_path / "tree/hard").read_bytes() == b"inside"


def test_a_link_that_was_there_and_leads_outside_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "tree/d").symlink_to(tmp_path / "out")
    damaged(write_deb(tmp_path / "a.deb", [("./d/x", FILE, b"x")]), tmp_path / "tree")
    assert not list((tmp_path / "out").iterdir())


def test_devices_and_pipes_are_refused(tmp_path: Path) -> None:
    message = damaged(write_deb(tmp_path / "a.deb", [("./pipe", FIFO, b"")]), tmp_path / "tree")
    assert "neither file, folder nor link" in message


def test_set_user_id_bits_are_dropped(tmp_path: Path) -> None:
    unpack_deb(write_deb(tmp_path / "a.deb", [("./su", FILE, b"x")], mode=0o6777), tmp_path / "tree")
    assert (tmp_path / "tree/su").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda content: b"<html>no</html>", "this is no ar archive", id="no-package"),
        pytest.param(lambda content: content[: len(content) // 2], "the package is cut short", id="cut"),
        pytest.param(lambda content: content[:-40] + b"\0" * 40, "the package is damaged", id="changed"),
        pytest.param(lambda content: content.replace(b"data.tar.xz", b"data.tar.qq"), "compression", id="unknown"),
        pytest.param(lambda content: content.replace(b"data.tar.xz", b"date.tar.xz"), "holds no data.tar", id="none"),
        pytest.param(lambda content: content.replace(b"`\n", b"``", 1), "damaged at byte 8", id="bad-header"),
    ],
)
def test_a_damaged_package_is_refused(tmp_path: Path, change: Callable[[bytes], bytes], said: str) -> None:
    deb = write_deb(tmp_path / "a.deb", [("./a", FILE, b"x" * 5000)])
    deb.write_bytes(change(deb.read_bytes()))
    assert said in damaged(deb, tmp_path / "tree")


@pytest.mark.root
def test_without_space_one_line_says_so(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    deb = write_deb(tmp_path / "a.deb", [("./a", FILE, os.urandom(1 << 20))])
    (tmp_path / "tree").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path / "tree")], check=True)
    try:
        with pytest.raises(KdriverError) as caught:
            unpack_deb(deb, tmp_path / "tree")
    finally:
        subprocess.run(["umount", str(tmp_path / "tree")], check=True)
    assert caught.value.message == f"a.deb: no space left to unpack it in {tmp_path / 'tree'}"
    assert caught.value.hint and "KDRIVER_CACHE" in caught.value.hint


def test_unpacking_many_small_files_is_quick(tmp_path: Path) -> None:
    members = [(f"./usr/src/{number % 100}/{number}.h", FILE, b"#define X\n") for number in range(12_000)]
    deb = write_deb(tmp_path / "a.deb", members)
    started = time.process_time()
    unpack_deb(deb, tmp_path / "tree")
    # Measured: 1.6 s of CPU on the build machine; ten times that is a mistake.
    assert time.process_time() - started < 16


@pytest.mark.parametrize("name", kernel_image_names("6.1.0-1-amd64"))
def test_the_kernel_is_found_wherever_packages_keep_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"kernel")
    assert find_kernel_image(tmp_path, "6.1.0-1-amd64") == tmp_path / name


def test_the_modules_are_found_with_and_without_usr(tmp_path: Path) -> None:
    for place in ("lib/modules/1", "usr/lib/modules/2"):
        (tmp_path / place / "kernel").mkdir(parents=True)
    assert find_modules_dir(tmp_path, "1") == tmp_path / "lib/modules/1"
    assert find_modules_dir(tmp_path, "2") == tmp_path / "usr/lib/modules/2"


def test_a_package_without_a_kernel_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"boot/vmlinuz-1, usr/lib/modules/1/vmlinuz") as caught:
        find_kernel_image(tmp_path, "1")
    assert caught.value.hint and caught.value.exit_code == ExitCode.NOT_FOUND
    with pytest.raises(NotFoundError, match="no modules"):
        find_modules_dir(tmp_path, "1")
