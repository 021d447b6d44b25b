"""`kdriver build` from its command line, with real make, gcc and clang on a kernel that does not exist."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel, write_index

Capture = pytest.CaptureFixture[str]


def build(*words: str, source: Path = TOY_DRIVER) -> int:
    return run(["build", "--driver-src", str(source), *words])


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def only_tools(folder: Path, *, leave_out: str) -> str:
    """A PATH with every program of this machine but those whose name begins with `leave_out`."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in sorted(Path(place).glob("*")):
            link = folder / program.name
            if not program.name.startswith(leave_out) and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def test_every_kind_is_built_then_taken_from_the_cache(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    assert build("--distro", "debian12", "--json") == ExitCode.DONE
    first = results(capsys)
    assert [(one["kernel"], one["kind"], one["outcome"]) for one in first] == [
        (kernel.key, "kmod", "built"),
        (kernel.key, "bpf", "built"),
        (kernel.key, "core", "built"),
    ]
    for one in first:
        assert Path(one["artifact"]).stat().st_size == one["size_bytes"]
        record = json.loads(Path(one["artifact"]).with_name("record.json").read_text())
        assert record["sha256"] == one["sha256"]
        assert record["driver"]["schema"] == "4.5.6"
    assert build("--distro", "debian12", "--json") == ExitCode.DONE
    again = results(capsys)
    assert [one["outcome"] for one in again] == ["cached"] * 3
    assert [one["sha256"] for one in again] == [one["sha256"] for one in first]


def test_force_builds_again_to_the_same_bytes(site: BuildSite, capsys: Capture) -> None:
    site.add()
    build("--distro", "debian12", "--json")
    first = results(capsys)
    build("--distro", "debian12", "--force", "--json")
    again = results(capsys)
    assert [one["outcome"] for one in again] == ["built"] * 3
    assert [one["sha256"] for one in again] == [one["sha256"] for one in first]


def test_core_is_built_once_for_all_kernels(site: BuildSite, capsys: Capture) -> None:
    site.add()
    site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1"))
    assert build("--distro", "debian12", "--kind", "core", "--json") == ExitCode.DONE
    found = results(capsys)
    assert [one["outcome"] for one in found] == ["built", "shared"]
    assert found[0]["sha256"] == found[1]["sha256"]
    assert not site.server.requests, "no headers are needed for a CO-RE object"


def test_out_holds_each_driver_with_its_record(site: BuildSite, tmp_path: Path, capsys: Capture) -> None:
    kernel = site.add()
    out = tmp_path / "drivers"
    assert build("--distro", "debian12", "--out", str(out), "--json") == ExitCode.DONE
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    files = [f"{kernel.release}/kdriver.bpf.o", f"{kernel.release}/kdriver.ko", "any/kdriver.core.o"]
    assert written == sorted(f"{name}{suffix}" for name in files for suffix in ("", ".json", ".provenance.json"))
    record = json.loads((out / kernel.release / "kdriver.ko.json").read_text())
    assert record["vermagic"] == f"{kernel.release} SMP mod_unload modversions"


def test_dry_run_downloads_and_builds_nothing(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    assert build("--distro", "debian12", "--dry-run", "--json") == ExitCode.DONE
    planned = results(capsys)
    assert [(one["kind"], one["action"], one["compiler"]) for one in planned] == [
        ("kmod", "build", "gcc-12"),
        ("bpf", "build", "clang"),
        ("core", "build", "clang"),
    ]
    assert planned[0]["packages"] == [package.file_name for package in kernel.packages]
    assert not site.server.requests
    assert not site.cache.exists()


def test_what_is_all_skipped_of_one_kernel_is_status_3_as_help_says(site: BuildSite, capsys: Capture) -> None:
    kernel = replace(site.add(), packages=())
    write_index(site.folder / "index", kernel)
    assert build("--kernel", kernel.key, "--kind", "kmod", "--kind", "bpf") == ExitCode.NOT_FOUND
    capsys.readouterr()
    assert run(["build", "--help"]) == ExitCode.DONE
    said = " ".join(capsys.readouterr().out.split())
    assert "3 no such kernel, or everything skipped of the only one" in said


def test_leftovers_of_killed_builds_are_removed_after_a_day(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    old, new = site.cache / "work/kmod-old", site.cache / "work/kmod-new"
    hidden = [site.cache / name for name in ("headers/.half.unpacked", "layouts/.layouts-x", "downloads/ab/.pruned-x")]
    for folder in (old, new, *hidden):
        (folder / "deeper").mkdir(parents=True)
    files = [site.cache / name for name in ("downloads/ab/one.deb.part", "downloads/ab/one.deb.part.json")]
    kept = [site.cache / name for name in ("downloads/ab/one.deb", "headers/.half.lock", "downloads/ab/new.deb.part")]
    for file in (*files, *kept):
        file.touch()
    for path in (old, *hidden, *files, *kept[:2]):
        os.utime(path, (0, 0))
    assert build("--kernel", kernel.release, "--kind", "core") == ExitCode.DONE
    assert new.exists()
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in (old, *hidden, *files))


def test_table_is_for_people(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    assert build("--kernel", kernel.release, "--kind", "kmod") == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out.split()[:7] == ["kernel", "kind", "outcome", "compiler", "seconds", "size", "reason"]
    assert "built" in said.out
    assert said.err == ""


def test_missing_compiler_is_one_line_with_a_hint(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add()
    monkeypatch.setenv("PATH", only_tools(tmp_path / "bin", leave_out="gcc"))
    assert build("--kernel", kernel.release, "--kind", "kmod", "--executor", "local") == ExitCode.BUILD
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"kdriver: {kernel.key} kmod: toolchain: compiler gcc-12 is missing, and no newer gcc is installed",
        "  hint: apt-get install gcc-12, or build in a container: kdriver images build debian12, then --executor auto.",
    ]


def test_missing_clang_is_one_line_with_a_hint(
    site: BuildSite, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add()
    monkeypatch.setenv("KDRIVER_CLANG", "clang-99")
    assert build("--kernel", kernel.release, "--kind", "core") == ExitCode.BUILD
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"kdriver: {kernel.key} core: toolchain: compiler clang-99 is missing"
    assert said[1] == "  hint: apt-get install clang-99 llvm-99, or name another clang in KDRIVER_CLANG."


def test_older_compiler_is_never_taken(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add(TinyKernel(gcc=99))
    assert build("--kernel", kernel.release, "--kind", "kmod") == ExitCode.BUILD
    assert "compiler gcc-99 is missing, and no newer gcc is installed" in capsys.readouterr().err


def test_corrupted_package_is_refused(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    file = site.folder / "mirror/debian" / kernel.packages[0].path
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert build("--kernel", kernel.release, "--kind", "kmod") == ExitCode.INTEGRITY
    said = capsys.readouterr().err
    assert "SHA-256 is " in said
    assert "hint: Try another mirror" in said
    assert not site.artifacts()
    assert not list((site.cache / "headers").glob("[!.]*"))


def test_package_that_was_corrupted_in_the_cache_is_fetched_again(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    assert build("--kernel", kernel.release, "--kind", "kmod") == ExitCode.DONE
    shutil.rmtree(site.cache / "headers")
    shutil.rmtree(site.cache / "artifacts")
    package = next((site.cache / "downloads").rglob(kernel.packages[0].file_name))
    package.write_bytes(package.read_bytes()[:-1] + b"x")
    assert build("--kernel", kernel.release, "--kind", "kmod") == ExitCode.DONE
    assert site.server.paths().count(f"/debian/{kernel.packages[0].path}") == 2


def test_mirror_without_the_package_fails_the_download(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    shutil.rmtree(site.folder / "mirror/debian")
    assert build("--kernel", kernel.release, "--kind", "kmod", "--json") == ExitCode.SOME_FAILED
    (found,) = results(capsys)
    assert found["outcome"] == "failed"
    assert found["reason"].startswith("download: ")


def test_compile_error_shows_its_class_first_line_and_log(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    source = site.driver_source()
    code = source / "kmod/toy.c"
    code.write_text(code.read_text().replace("GFP_KERNEL", "GFP_NO_SUCH"))
    assert build("--kernel", kernel.release, "--kind", "kmod", source=source) == ExitCode.BUILD
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"kdriver: {kernel.key} kmod: compile: kmod/toy.c:")
    assert "error: 'GFP_NO_SUCH' undeclared" in said[0].replace("‘", "'").replace("’", "'")
    (log,) = [line.removeprefix("  log: ") for line in said if line.startswith("  log: ")]
    assert "GFP_NO_SUCH" in Path(log).read_text()
    assert not site.artifacts()


def test_compiler_warning_fails_the_build(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    source = site.driver_source()
    for name in ("kmod/toy.c", "bpf/toy.bpf.c", "core/toy.core.c"):
        code = source / name
        code.write_text(
            code.read_text() + "\nint kd_warns(void);\nint kd_warns(void)\n{\n\tint unused;\n\treturn 1;\n}\n"
        )
    assert build("--kernel", kernel.release, "--json", source=source) == ExitCode.BUILD
    for one in results(capsys):
        assert one["reason"].startswith("check: the compiler warned: "), one
        assert "unused variable" in one["reason"], one
    assert not site.artifacts()


def test_failing_clang_leaves_no_empty_object(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    source = site.driver_source()
    code = source / "bpf/toy.bpf.c"
    code.write_text(code.read_text() + "#error on purpose\n")
    assert build("--kernel", kernel.release, "--kind", "bpf", "--json", source=source) == ExitCode.BUILD
    (found,) = results(capsys)
    assert found["reason"].endswith("error: on purpose")
    assert found["reason"].startswith("compile: bpf/toy.bpf.c:")
    assert found["artifact"] is None
    assert not site.artifacts()


def test_module_of_another_release_is_refused(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add(TinyKernel(vermagic="1.2.3-other"))
    assert build("--kernel", kernel.release, "--kind", "kmod", "--json") == ExitCode.BUILD
    (found,) = results(capsys)
    assert found["reason"] == f"check: vermagic is of 1.2.3-other, {kernel.release} was asked for"
    assert not site.artifacts()


def test_symbol_with_another_crc_is_refused(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add(TinyKernel(crcs={"kmalloc": 0x99999999}))
    assert build("--kernel", kernel.release, "--kind", "kmod", "--json") == ExitCode.BUILD
    (found,) = results(capsys)
    assert found["reason"] == "symbol: kmalloc has CRC 0x99999999 in the module and 0x11111111 in the kernel"


def test_batch_goes_on_after_a_failure(site: BuildSite, capsys: Capture) -> None:
    site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1", gcc=99))
    site.add()
    assert build("--distro", "debian12", "--kind", "kmod", "--json") == ExitCode.SOME_FAILED
    assert [one["outcome"] for one in results(capsys)] == ["failed", "built"]


def test_two_variants_that_both_compile_are_a_fault_of_the_probes(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    source = site.driver_source()
    shutil.copy(source / "kmod/probes/choice__there.c", source / "kmod/probes/choice__also.c")
    assert build("--kernel", kernel.release, "--kind", "bpf", "--json", source=source) == ExitCode.BUILD
    (found,) = results(capsys)
    assert "choice: choice__also and choice__there compile" in found["reason"]
    assert found["hint"].startswith("Add the variant of this kernel to driver_src/kmod/probes")


def test_headers_that_compile_nothing_are_a_fault_of_the_toolchain(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add()
    source = site.driver_source()
    (source / "kmod/probes/sanity.c").write_text("#error broken headers\n")
    assert build("--kernel", kernel.release, "--kind", "kmod", source=source) == ExitCode.BUILD
    said = capsys.readouterr().err
    assert "toolchain: a module without any content does not compile against these headers" in said
    assert "broken headers" in said


@pytest.mark.parametrize(
    ("words", "status", "says", "hint"),
    [
        pytest.param(["--distro", "debian77"], ExitCode.NOT_FOUND, "debian77", "hint: ", id="unknown distribution"),
        pytest.param(["--kernel", "9.9.9"], ExitCode.NOT_FOUND, "kernel '9.9.9'", "hint: ", id="unknown kernel"),
        pytest.param([], ExitCode.USAGE, "name kernels with --distro", "", id="no kernels named"),
        pytest.param(
            ["--distro", "debian12", "--name", "my-driver"],
            ExitCode.USAGE,
            "name 'my-driver'",
            "Choose a name",
            id="name",
        ),
    ],
)
def test_bad_words_are_refused_before_anything_is_done(
    words: list[str], status: ExitCode, says: str, hint: str, site: BuildSite, capsys: Capture
) -> None:
    site.add()
    assert build(*words) == status
    said = capsys.readouterr().err
    assert says in said
    assert hint in said
    assert not site.server.requests


def test_folder_that_is_no_driver_source_is_refused(site: BuildSite, tmp_path: Path, capsys: Capture) -> None:
    site.add()
    assert build("--distro", "debian12", source=tmp_path) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert f"{tmp_path}: is no driver source: it has no driver.toml" in said
    assert "--driver-src" in said


def test_cache_below_a_folder_with_a_space_is_refused(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add()
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "my cache"))
    assert build("--distro", "debian12") == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "cannot work below a folder with spaces" in said
    assert "KDRIVER_CACHE" in said


@pytest.mark.root
@pytest.mark.parametrize(
    ("size", "says"),
    [pytest.param("4k", "cache", id="at the start"), pytest.param("64k", "linux-headers", id="midway")],
)
def test_full_disk_is_one_line_with_a_hint_and_leaves_no_artifact(size: str, says: str, site: BuildSite) -> None:
    kernel = site.add()
    site.cache.mkdir()
    argv = [sys.executable, "-m", "kdriver", "build", "--kernel", kernel.release, "--kind", "kmod", "--driver-src"]
    script = (
        f'mount -t tmpfs -o size={size},nr_inodes=24 tmpfs "$0" && "$@"; status=$?; ls "$0"/artifacts; exit $status'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, str(site.cache), *argv, str(TOY_DRIVER)],
        env={**os.environ, **site.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (ExitCode.BUILD, ExitCode.SOME_FAILED), done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr or "no space left" in done.stderr
    assert "  hint: Free space there" in done.stderr
    assert says in done.stderr
    assert not [line for line in done.stdout.splitlines() if len(line) == 64]


def test_cache_that_cannot_be_written_is_one_line_with_a_hint(
    site: BuildSite, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add()
    monkeypatch.setenv("KDRIVER_CACHE", "/proc/no_such_folder")
    assert build("--distro", "debian12") == ExitCode.BUILD
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("kdriver: this machine: /proc/no_such_folder")
    assert said[1] == "  hint: Name a folder that you may write in with KDRIVER_CACHE."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_killed_build_leaves_no_artifact_and_can_be_repeated(number: signal.Signals, site: BuildSite) -> None:
    kernel = site.add()
    source = site.driver_source()
    kbuild = source / "kmod/Kbuild"
    plain = kbuild.read_text()
    waiting = site.folder / "waiting"
    # The compile waits here, so that the kill comes in the middle of it.
    kbuild.write_text(plain + f"$(shell touch {waiting}; sleep 30)\n")
    argv = [sys.executable, "-m", "kdriver", "build", "--kernel", kernel.release, "--kind", "kmod"]
    argv += ["--driver-src", str(source), "--out", str(site.folder / "out")]
    process = subprocess.Popen(argv, env={**os.environ, **site.environment()}, stderr=subprocess.PIPE, text=True)
    _wait_for(waiting)
    started = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in said
    assert not site.artifacts()
    assert not (site.folder / "out").exists()
    if number != signal.SIGKILL:
        assert not list((site.cache / "work").iterdir())
    kbuild.write_text(plain)
    assert build("--kernel", kernel.release, "--kind", "kmod", source=source) == ExitCode.DONE


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, "the compile did not start"
        time.sleep(0.05)


@pytest.mark.root
def test_no_space_for_out_names_the_file(site: BuildSite, tmp_path: Path, capsys: Capture) -> None:
    site.add()
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(out)], check=True)
    try:
        (out / "other").write_bytes(bytes(8192))
        assert build("--distro", "debian12", "--kind", "bpf", "--out", str(out)) == ExitCode.BUILD
        said = capsys.readouterr().err.splitlines()
        written = [path for path in out.rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", str(out)], check=True)
    assert f": this machine: {out}/" in said[0] and said[0].endswith("kdriver.bpf.o: No space left on device")
    assert said[1] == ("  hint: Free space there, or name a folder on another file system in KDRIVER_CACHE or --out.")
    assert written == [out / "other"]
