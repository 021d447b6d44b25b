"""`kdriver verify`: from the command line to verdicts, exit statuses and records, with a made-up QEMU."""

from __future__ import annotations

import hashlib
import json
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from builder.keep import used_by_others
from kdriver.cli import run
from kdriver.core.artifact import CORE_KERNEL, Artifact, DriverKind, DriverVersion
from kdriver.core.paths import cache_dir
from kdriver.core.verdict import POLICY, Fault, Outcome
from kdriver.verifier.records import read_verdict
from tests.fakes.driver_files import driver_files, module
from tests.fakes.guest_lines import RELEASE, ended, good_run, hello, write_boots
from tests.fakes.qemu import write_qemu
from tests.fakes.tiny_kernel import TOY_DRIVER, build_site

VERSION = DriverVersion("0.1.0", "1.0.0", "1.0.0", "10.1.0", "4.5.1")


@pytest.fixture(scope="module")
def tools_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this file: the tools are built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(tools_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tools_cache))
    monkeypatch.setenv("KDRIVER_INDEX", str(tools_cache / "index"))


@pytest.fixture
def drivers(tmp_path: Path) -> Path:
    """A folder with a driver of each kind, as `kdriver build --out` leaves it."""
    for kind in DriverKind:
        folder = tmp_path / "drivers" / ("any" if kind is DriverKind.CORE else RELEASE)
        folder.mkdir(parents=True, exist_ok=True)
        # What follows the object is no part of it, and makes each test's driver another one.
        content = driver_files(RELEASE)[kind] + str(tmp_path).encode()
        core = kind is DriverKind.CORE
        artifact = Artifact(
            kernel=CORE_KERNEL if core else f"debian/x86_64/{RELEASE}/1",
            release="" if core else RELEASE,
            kind=kind,
            name="kdriver",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            driver=VERSION,
            compiler="gcc-12",
            flags=(),
            inputs=(),
            content_key="0" * 64,
            seconds=1.0,
            built_at="2026-01-01T00:00:00Z",
        )
        (folder / kind.file_name).write_bytes(content)
        (folder / f"{kind.file_name}.json").write_text(json.dumps(artifact.to_json()))
    return tmp_path / "drivers"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An uncompressed kernel that says it can be started by PVH."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x1000000)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    path = tmp_path / "vmlinux"
    path.write_bytes(head + struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4) + note)
    return path


def _kernel(image: Path) -> str:
    """The key of a kernel from outside the index: the digest is of the digests of what was named, here one file."""
    content = hashlib.sha256(image.read_bytes()).hexdigest()
    return f"file/x86_64/{RELEASE}/{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _arguments(image: Path, drivers: Path, *more: str) -> list[str]:
    return ["verify", "--kernel-image", str(image), "--release", RELEASE, "--artifacts", str(drivers), *more]


def _boots_with(monkeypatch: pytest.MonkeyPatch, folder: Path, *boots: list[dict[str, Any]]) -> None:
    monkeypatch.setenv("KDRIVER_QEMU", write_boots(folder, *boots))


def _all_good(*, core_res: int = 3) -> list[dict[str, Any]]:
    return ended([hello(), *good_run("kmod"), *good_run("bpf"), *good_run("core", res=core_res)])


def test_all_passed_is_status_0_with_a_row_and_a_record_for_each_kind(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good())
    assert run(_arguments(image, drivers, "--json")) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kernel"], row["kind"], row["outcome"], row["reason"]) for row in rows] == [
        (_kernel(image), str(kind), "passed", "") for kind in DriverKind
    ]
    for row in rows:
        assert row["checks"] == {"exact": 2, "between": 0, "unchecked": 0}
        assert row["events"] == 1
        assert row["seconds"] > 0
        assert Path(row["console"]).is_file()
        kept = read_verdict(row["artifact_sha256"], _kernel(image))
        assert kept is not None and kept.outcome is Outcome.PASSED
        assert len(kept.case_set) == 64


def test_what_a_verdict_covers_is_not_verified_again(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good())
    assert run(_arguments(image, drivers, "--changed", "--json")) == 0
    assert [row["kept"] for row in json.loads(capsys.readouterr().out)] == [False] * 3
    assert run(_arguments(image, drivers, "--changed", "--json")) == 0
    assert [(row["outcome"], row["kept"]) for row in json.loads(capsys.readouterr().out)] == [("passed", True)] * 3
    assert (tmp_path / "count").read_text().strip() == "1"


def test_verdicts_of_some_cases_are_not_kept(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good())
    assert run(_arguments(image, drivers, "--cases", "dup*", "--json")) == 0
    said = capsys.readouterr()
    assert "only some cases ran: these verdicts are not kept" in said.err
    for row in json.loads(said.out):
        assert read_verdict(row["artifact_sha256"], _kernel(image)) is None
    assert run(_arguments(image, drivers, "--cases", "no-such-case")) == 3
    assert "has such a name" in capsys.readouterr().err


def test_a_debugger_is_told_how_to_attach(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good())
    assert run(_arguments(image, drivers, "--gdb")) == 0
    assert "-ex 'target remote 127.0.0.1:" in capsys.readouterr().err
    argv = (tmp_path / "argv.1").read_text()
    assert "-gdb" in argv and "-S" in argv


def test_the_table_names_the_counts_of_each_check(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good())
    assert run(_arguments(image, drivers, "--kind", "core", "--kind", "kmod")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "kernel",
        "kind",
        "verdict",
        "events",
        "exact",
        "between",
        "unchecked",
        "seconds",
        "reason",
    ]
    assert [line.split()[1:7] for line in lines[1:]] == [
        ["kmod", "passed", "1", "2", "0", "0"],
        ["core", "passed", "1", "2", "0", "0"],
    ]


def test_a_wrong_parameter_is_status_5_and_is_shown_with_both_values(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good(core_res=9))
    assert run(_arguments(image, drivers)) == 5
    said = capsys.readouterr()
    reason = next(line for line in said.err.splitlines() if line.startswith(f"kdriver: {_kernel(image)} core: f"))
    assert "dup" in reason and "expected 3, seen 9" in reason
    assert "  console: " in said.err
    table = said.err.splitlines()
    head = next(number for number, line in enumerate(table) if line.split() == ["case", "event", "expected", "seen"])
    assert table[head + 1].split() == ["dup", "dup.res", "3", "9"]
    sha256 = hashlib.sha256((drivers / "any" / "kdriver.core.o").read_bytes()).hexdigest()
    kept = read_verdict(sha256, _kernel(image))
    assert kept is not None and kept.outcome is Outcome.FAILED
    assert (kept.fault, kept.policy) == (Fault.WRONG_EVENTS, POLICY)
    assert (kept.cases.passed, kept.cases.failed) == (0, ("dup",))
    assert len(dict(kept.facts)["console_sha256"]) == len(dict(kept.facts)["results_sha256"]) == 64
    assert kept.catalogue.startswith("1.") and dict(kept.durations)["cases"] == 0.01


def test_a_static_fault_is_status_5_and_costs_no_boot(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, _all_good())
    path = drivers / RELEASE / "kdriver.ko"
    path.write_bytes(module(RELEASE, license="Proprietary"))
    record = json.loads(path.with_name("kdriver.ko.json").read_text())
    record["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name("kdriver.ko.json").write_text(json.dumps(record))
    assert run(_arguments(image, drivers, "--kind", "kmod", "--json")) == 5
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["outcome"], row["fault"], row["steps"]) == ("failed", "license", {})
    assert row["reason"] == "static: license: Proprietary is not compatible with the kernel's"
    assert not (tmp_path / "count").exists()


def test_a_kernel_that_never_boots_is_status_5_and_not_verified(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, [])
    assert run(_arguments(image, drivers, "--kind", "bpf", "--json")) == 5
    (row,) = json.loads(capsys.readouterr().out)
    assert row["outcome"] == "not verified"
    assert row["reason"].startswith("the kernel never reached /init: ")


def test_no_qemu_is_one_line_with_a_hint(
    image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KDRIVER_QEMU", "qemu-that-is-not-there")
    assert run(_arguments(image, drivers)) == 2
    assert capsys.readouterr().err.splitlines() == [
        "kdriver: qemu-that-is-not-there: not found; verification boots kernels in QEMU",
        "  hint: Install it (Debian: apt install qemu-system-x86) or name it in KDRIVER_QEMU.",
    ]


def test_a_folder_without_drivers_is_status_3(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, [])
    (tmp_path / "empty").mkdir()
    assert run(_arguments(image, tmp_path / "empty")) == 3
    assert "holds no driver with its record" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_an_image_that_is_not_there_is_status_3(
    tmp_path: Path, drivers: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    assert run(_arguments(gone, drivers, *more)) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"kdriver: {gone}: no such kernel image",
        "  hint: Name an existing file with --kernel-image.",
    ]


def test_no_driver_for_the_release_is_status_3(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, [])
    arguments = ["verify", "--kernel-image", str(image), "--release", "9.9", "--artifacts", str(drivers)]
    assert run([*arguments, "--kind", "kmod"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"kdriver: {drivers}: holds no driver for 9.9",
        "  hint: Build one for that kernel, or name its folder.",
    ]


def test_a_driver_that_is_not_what_its_record_says_is_status_6(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, [])
    (drivers / RELEASE / "kdriver.ko").write_bytes(b"changed")
    assert run(_arguments(image, drivers)) == 6
    assert "its record says" in capsys.readouterr().err


def test_a_kernel_image_that_is_none_is_status_6(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, [])
    image.write_bytes(b"nothing that boots")
    assert run(_arguments(image, drivers)) == 6
    assert "is no bzImage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "name kernels with --distro, --kernel or both", id="nothing-named"),
        pytest.param(["--kernel-image", "x"], "--kernel-image needs --headers", id="image-alone"),
        pytest.param(
            ["--kernel-image", "x", "--release", "1", "--artifacts", "a", "--distro", "debian12"],
            "--kernel-image and kernels of the index exclude each other",
            id="both",
        ),
        pytest.param(["--timeout", "0", "--distro", "debian12"], "Invalid value for '--timeout'", id="no-time"),
        pytest.param(["--accel", "warp", "--distro", "debian12"], "Invalid value for '--accel'", id="accelerator"),
    ],
)
def test_a_wrong_command_line_is_status_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_no_index_is_status_3_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--distro", "debian12"]) == 3
    assert "kdriver index update" in capsys.readouterr().err


def test_a_kernel_whose_drivers_cannot_be_built_still_has_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with build_site(tmp_path) as site:
        for name, value in site.environment().items():
            monkeypatch.setenv(name, value)
        kernel = site.add().key
        monkeypatch.setenv("KDRIVER_CLANG", "clang-that-is-not-there")
        _boots_with(monkeypatch, tmp_path, [])
        arguments = ["verify", "--kernel", kernel, "--kind", "core", "--driver-src", str(TOY_DRIVER), "--json"]
        assert run(arguments) == 4
    said = capsys.readouterr()
    reason = "toolchain: compiler clang-that-is-not-there is missing"
    rows = [(row["kernel"], row["kind"], row["outcome"], row["reason"]) for row in json.loads(said.out)]
    assert rows == [(kernel, "core", "not verified", f"not built: {reason}")]
    assert said.err.splitlines()[0] == f"kdriver: {kernel} core: {reason}"
    assert said.err.splitlines()[1].startswith("  hint: apt-get install clang")


def test_a_dry_run_names_what_would_be_booted_and_boots_nothing(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _boots_with(monkeypatch, tmp_path, [])
    assert run(_arguments(image, drivers, "-n", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "kernel": _kernel(image),
            "kinds": ["kmod", "bpf", "core"],
            "image": image.name,
            "size_bytes": image.stat().st_size,
        }
    ]
    assert not (tmp_path / "count").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_ended_verification_leaves_no_guest_and_no_file(
    tmp_path: Path, image: Path, drivers: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    assert run(_arguments(image, drivers, "-n")) == 0
    qemu = write_qemu(tmp_path, f'if [ "$1" != --version ]; then echo $$ >{tmp_path}/pid; fi; exec sleep 60')
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("KDRIVER_QEMU", qemu)
    monkeypatch.setenv("TMPDIR", str(scratch))
    argv = [sys.executable, "-m", "kdriver", *_arguments(image, drivers)]
    verifier = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "pid"
    try:
        until = time.monotonic() + 60
        while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < until:
            time.sleep(0.05)
        guest = Path("/proc") / pid.read_text().strip()
        assert guest.exists()
        assert used_by_others(cache_dir()), "nothing may take what it boots out of the cache"
        verifier.send_signal(number)
        _, said = verifier.communicate(timeout=30)
    finally:
        verifier.kill()
    assert verifier.returncode == 130
    assert said.strip().splitlines()[-1] == "kdriver: stopped"
    assert not guest.exists()
    assert list(scratch.iterdir()) == []
