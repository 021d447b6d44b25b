"""`kdriver index resolve`, `diff`, `stats`, `import`, `export` and `add`: what a person sees and programs rely on."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.store import RowIndex, SuiteState, write_row

HEADERS = Package(
    PackageRole.HEADERS, "linux-headers-6.1.0-56-amd64", "6.1.192-2", "amd64", "main", "pool/h.deb", 10, "a" * 64
)
KERNEL = Kernel(
    "debian", "debian12", "6.1.0-56-amd64", "6.1.192-2", "6.1.192-2", "x86_64", "amd64", (HEADERS,),
    compiler="gcc-12", first_seen="2026-11-01", last_seen="2026-11-22",
)  # fmt: skip
UNAME = ["--release", KERNEL.release, "--version", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)"]
CRAWLER: dict[str, Any] = {
    "Ubuntu": [
        {
            "kernelversion": "113~16.04.1",
            "kernelrelease": "4.15.0-112-hwe",
            "target": "ubuntu-hwe",
            "headers": [
                "http://mirror.example/linux-headers-4.15.0-112-generic_4.15.0-112.113~16.04.1_amd64.deb",
                "http://mirror.example/linux-headers-4.15.0-112_4.15.0-112.113~16.04.1_all.deb",
            ],
        },
        {"kernelversion": 1, "kernelrelease": "5.4.0", "target": "ubuntu", "headers": []},
    ]
}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index with one kernel."""
    folder = tmp_path / "index"
    write_row(
        RowIndex("debian12", "2026-11-22T10:00:00+00:00", (SuiteState("bookworm", "main", "fetched"),), (KERNEL,)),
        folder,
    )
    monkeypatch.setenv("KDRIVER_INDEX", str(folder))
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    yield folder


def test_an_exact_kernel_is_printed_and_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os_release = tmp_path / "os-release"
    os_release.write_text("ID=debian\nVERSION_ID=12\n")
    arguments = ["index", "resolve", *UNAME, "--os-release", str(os_release), "--arch", "x86_64"]
    assert run([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "kernel": KERNEL.to_json(),
        "nearest": None,
        "reasons": [],
        "host": {
            "distro": "debian",
            "distro_version": "12",
            "release": "6.1.0-56-amd64",
            "version": UNAME[3],
            "arch": "x86_64",
        },
    }
    assert run(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "host     debian 12, 6.1.0-56-amd64 (6.1.192-2), x86_64",
        f"kernel   {KERNEL.key} of debian12",
    ]


def test_the_nearest_is_printed_and_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["index", "resolve", "--release", "6.1.0-57-amd64", "--version", "#1 SMP Debian 6.1.194-1"]
    assert run([*arguments, "--arch", "x86_64", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["kernel"], document["nearest"]["key"]) == (None, KERNEL.key)
    assert document["reasons"] == [
        "debian 6.1.0-57-amd64 is not in the index",
        "the nearest is 6.1.0-56-amd64, 1 apart",
    ]


def test_without_options_this_host_is_resolved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "resolve", "--json"]) in (0, 3)
    host = json.loads(capsys.readouterr().out)["host"]
    here = os.uname()
    assert (host["release"], host["version"], host["arch"]) == (here.release, here.version, here.machine)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["resolve", "--version", "x"], "describe a host by its --release", "Add --release R."),
        (["resolve", "--release", "x", "--os-release", "/nowhere"], "/nowhere: No such file", "leave --os-release out"),
        (["diff", "/nowhere.json"], "there is no kernel index in /nowhere.json", "kdriver index update"),
        (["import", "/nowhere.json"], "/nowhere.json: No such file", "Name a file that can be read."),
        (["add", "/nowhere", "--distro", "debian12"], "/nowhere: no such folder", "Name a folder"),
        (["add", "/nowhere", "--distro", "debian"], "one distribution release was expected", "debian12"),
        (["stats", "--distro", "debian13x"], "distribution 'debian13x' is not known", "debian13"),
    ],
)
def test_errors_say_what_to_do(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["index", *arguments]) in (2, 3)
    error = capsys.readouterr().err
    assert message in error
    assert hint in error.split("hint:")[1]


def test_an_export_is_read_by_diff_and_import(
    tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before.json"
    assert run(["index", "export", "--out", str(before), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(before), "format": "plain", "kernels": 1}
    later = dataclasses.replace(KERNEL, release="6.1.0-57-amd64")
    write_row(RowIndex("debian12", "", (), (dataclasses.replace(KERNEL, compiler=""), later)), index)
    assert run(["index", "diff", str(before)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"+ debian12         {later.key}",
        f"~ debian12         {KERNEL.key}",
        "    compiler: gcc-12 -> none",
        "1 new, 0 gone, 1 changed",
    ]
    assert run(["index", "diff", str(index), str(before), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gone"] == [{"key": later.key, "distro_release": "debian12"}]
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "other"))
    assert run(["index", "import", str(before), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new"] == [KERNEL.key]
    assert run(["index", "show", KERNEL.key, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == KERNEL.to_json()


def test_a_list_of_kernel_crawler_is_mended_on_the_way_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps(CRAWLER))
    assert run(["index", "import", str(file), "--dry-run"]) == 1
    assert run(["index", "show", "4.15.0-112-generic"]) == 3
    capsys.readouterr()
    assert run(["index", "import", str(file)]) == 1
    out = capsys.readouterr()
    assert out.out.splitlines() == [
        "mended   4.15.0-112-hwe 113~16.04.1 is 4.15.0-112-generic 113~16.04.1",
        "1 kernels, 1 new; 1 names mended, 1 entries refused",
    ]
    assert "refused  Ubuntu[1] 5.4.0 1: none of its addresses is a package of headers" in out.err
    assert run(["index", "show", "4.15.0-112-generic", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["distro_release"], document["build"], document["authenticated"]) == (
        "ubuntu16.04", "113~16.04.1", False,
    )  # fmt: skip
    assert run(["index", "export", "--format", "kernel-crawler", "--distro", "ubuntu"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert exported["Ubuntu"][0]["kernelrelease"] == "4.15.0-112-generic"
    assert exported["Ubuntu"][0]["headers"] == CRAWLER["Ubuntu"][0]["headers"]


def test_stats_count_by_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "stats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "distro": "debian", "distro_release": "debian12", "arch": "x86_64", "kernels": 1, "flavours": 1,
            "buildable": 1, "bootable": 0, "unauthenticated": 0, "gone": 0,
            "first_seen": "2026-11-01", "last_seen": "2026-11-22",
        }
    ]  # fmt: skip
    assert run(["index", "stats"]) == 0
    assert "1 kernels of 1 releases" in capsys.readouterr().out
