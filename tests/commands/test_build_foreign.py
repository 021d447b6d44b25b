"""`kdriver build --driver-src` with a driver of another project, by real make, gcc and clang on a tiny kernel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.inspect.signature import read_signature
from tests.fakes.signing_keys import make_key
from tests.fakes.tiny_kernel import BuildSite, TinyKernel

MODULE = """#include <linux/module.h>
#include <linux/slab.h>
void *toy_memory;
int init_module(void) { toy_memory = kmalloc(1, GFP_KERNEL); return 0; }
void cleanup_module(void) { kfree(toy_memory); }
MODULE_LICENSE("GPL");
"""
PROBE = """#define SEC(name) __attribute__((section(name), used))
SEC("raw_tp/sys_enter") int probe(void *context) { return context == (void *)PROBE; }
char _license[] SEC("license") = "GPL";
"""
SETTINGS = """name = "other-one"
version = "3.1"
[kmod]
commands = [["make", "-C", "{headers}", "M={source}/drv", "CC={cc}", "KCFLAGS=-g0", "modules"]]
file = "drv/other-one.ko"
[bpf]
source = "probe.c"
clang = ["-DPROBE=0"]
[core]
commands = [["{clang}", "-target", "bpf", "-g", "-O2", "-DPROBE=1", "-c", "probe.c", "-o", "{name}-{version}.o"]]
file = "other-one-3.1.o"
"""


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    folder = tmp_path / "driver"
    (folder / "drv").mkdir(parents=True)
    (folder / "driver.toml").write_text(SETTINGS)
    (folder / "drv" / "Kbuild").write_text("obj-m := other-one.o\n")
    (folder / "drv" / "other-one.c").write_text(MODULE)
    (folder / "probe.c").write_text(PROBE)
    return folder


def built(driver: Path, capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[dict[str, Any]]:
    assert run(["build", "--distro", "debian12", "--driver-src", str(driver), "--json", *words]) == status
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_every_kind_is_built_as_its_table_says(
    site: BuildSite, driver: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = site.add()
    first = built(driver, capsys, "--out", str(tmp_path / "out"))
    assert [(one["kind"], one["outcome"], one["reason"]) for one in first] == [
        ("kmod", "built", ""), ("bpf", "built", ""), ("core", "built", "")
    ]  # fmt: skip
    names = [Path(one["artifact"]).relative_to(tmp_path / "out").as_posix() for one in first]
    assert names == [f"{kernel.release}/other-one.ko", f"{kernel.release}/probe.o", "any/other-one-3.1.o"]
    record = json.loads((tmp_path / "out" / f"{names[0]}.json").read_text())
    assert (record["name"], record["file"], record["driver"]["version"]) == ("other_one", "other-one.ko", "3.1")
    assert "M=/build/src/drv" in record["flags"] and "CC=gcc-12" in record["flags"]
    assert [one["outcome"] for one in built(driver, capsys)] == ["cached"] * 3


def test_a_plain_module_is_built_by_its_name(site: BuildSite, driver: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.add()
    (one,) = [row for row in built(driver / "drv", capsys, "--name", "other-one") if row["outcome"] != "skipped"]
    assert (one["kind"], one["outcome"]) == ("kmod", "built")


def test_a_file_that_does_not_come_out_fails_and_is_named(
    site: BuildSite, driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add()
    path = driver / "driver.toml"
    path.write_text(path.read_text().replace('file = "drv/other-one.ko"', 'file = "drv/else.ko"'))
    (one,) = built(driver, capsys, "--kind", "kmod", status=ExitCode.BUILD)
    assert one["reason"] == "compile: the commands made no drv/else.ko"
    assert "file in [kmod]" in one["hint"]


def test_a_module_of_another_name_fails_its_check(
    site: BuildSite, driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add()
    shutil.copy(driver / "drv" / "other-one.c", driver / "drv" / "third.c")
    (driver / "drv" / "Kbuild").write_text("obj-m := third.o\n")
    path = driver / "driver.toml"
    path.write_text(path.read_text().replace('file = "drv/other-one.ko"', 'file = "drv/third.ko"'))
    (one,) = built(driver, capsys, "--kind", "kmod", status=ExitCode.BUILD)
    assert one["reason"] == "check: the module is called third, other_one was asked for"


def test_a_command_that_fails_is_told_with_its_words(
    site: BuildSite, driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add()
    (driver / "probe.c").write_text(PROBE + "int broken(void) { return nothing; }\n")
    (one,) = built(driver, capsys, "--kind", "core", status=ExitCode.BUILD)
    assert one["reason"].startswith("compile: ") and "nothing" in one["reason"]


def test_it_is_not_published(site: BuildSite, driver: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.add()
    built(driver, capsys)
    keys, repository = tmp_path / "keys", tmp_path / "repository"
    assert run(["repo", "init", "--repo", str(repository), "--keys", str(keys)]) == 0
    words = ["publish", "--repo", str(repository), "--keys", str(keys), "--driver-src", str(driver)]
    assert run(words) == ExitCode.USAGE
    assert "kdriver's own drivers only" in capsys.readouterr().err


def test_a_module_of_another_project_is_signed_as_well(
    site: BuildSite, driver: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = site.add()
    pair = make_key(tmp_path)
    words = ["--sign-key", str(pair.key), "--sign-cert", str(pair.certificate), "--out", str(tmp_path / "out")]
    (one,) = built(driver, capsys, "--kind", "kmod", *words)
    assert one["outcome"] == "built"
    plain = (tmp_path / "out" / kernel.release / "other-one.ko").read_bytes()
    signature = read_signature((tmp_path / "out" / kernel.release / "signed" / "other-one.ko").read_bytes())
    assert signature is not None and signature.signed == plain


def test_a_module_of_another_project_is_never_shared(
    site: BuildSite, driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it reads of the kernel is not known."""
    site.add()
    site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1"))
    assert [one["outcome"] for one in built(driver, capsys, "--kind", "kmod")] == ["built", "built"]
