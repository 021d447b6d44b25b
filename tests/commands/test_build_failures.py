"""Every class of failure, produced on purpose: the result names its class, its first error, and where the log is."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.failure import Failure
from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import Kernel
from tests.fakes.tiny_kernel import BuildSite, TinyKernel, write_index

Capture = pytest.CaptureFixture[str]
Setting = Callable[[BuildSite, Path, pytest.MonkeyPatch], Kernel]


def add_to(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def headers_of_another_kernel(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = replace(site.add(), release="1.2.9-other-amd64")
    write_index(site.folder / "index", kernel)
    return kernel


def no_compiler(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return site.add(TinyKernel(gcc=99))


def tools_for_a_newer_libc(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    program = Path("/bin/true").read_bytes().replace(b"GLIBC_2.34\0", b"GLIBC_9.99\0")
    tool = site.folder / "modpost"
    tool.write_bytes(program)
    tool.chmod(0o755)
    return site.add(TinyKernel(tool=tool))


def two_variants(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    shutil.copy(source / "kmod/probes/choice__there.c", source / "kmod/probes/choice__also.c")
    return site.add()


def wrong_code(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    add_to(source / "kmod/toy.c", "#error on purpose\n")
    return site.add()


def symbol_defined_twice(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    (source / "kmod/again.c").write_text("int kd_twice(void);\nint kd_twice(void)\n{\n\treturn 1;\n}\n")
    shutil.copy(source / "kmod/again.c", source / "kmod/more.c")
    add_to(source / "kmod/Kbuild", "$(KD_NAME)-y += again.o more.o\n")
    return site.add()


def symbol_that_the_kernel_lacks(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    code = source / "kmod/toy.c"
    code.write_text(code.read_text().replace("\tkfree(toy_memory);", "\tkd_lacks();"))
    add_to(source / "common/kd_toy.h", "\nextern void kd_lacks(void);\n")
    return site.add()


def vermagic_of_another(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return site.add(TinyKernel(vermagic="1.2.3-other"))


def nothing_on_the_mirror(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = site.add()
    shutil.rmtree(site.folder / "mirror/debian")
    return kernel


def other_bytes_on_the_mirror(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = site.add()
    package = site.folder / "mirror/debian" / kernel.packages[0].path
    package.write_bytes(package.read_bytes()[:-1] + b"x")
    return kernel


def folder_in_the_way(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = site.add()
    (site.cache / "artifacts").parent.mkdir(exist_ok=True)
    (site.cache / "artifacts").write_text("a file where a folder must be\n")
    return kernel


def damaged_result_of_probes(site: BuildSite, source: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = site.add()
    words = ["build", "--kernel", kernel.release, "--kind", "bpf", "--driver-src", str(source), "--out"]
    assert run([*words, str(site.folder / "first")]) == ExitCode.DONE
    (kept,) = (site.cache / "probes").glob("*.json")
    kept.write_text("{}")
    return kernel


SETTINGS: dict[Failure, tuple[Setting, str]] = {
    Failure.HEADERS: (headers_of_another_kernel, "the headers are of 1.2.3-tiny-amd64"),
    Failure.TOOLCHAIN: (no_compiler, "compiler gcc-99 is missing"),
    Failure.LIBC: (tools_for_a_newer_libc, "modpost of the kernel's headers needs glibc 9.99"),
    Failure.PROBE: (two_variants, "choice: choice__also and choice__there compile"),
    Failure.COMPILE: (wrong_code, "error: #error on purpose"),
    Failure.LINK: (symbol_defined_twice, "multiple definition of `kd_twice'"),
    Failure.SYMBOL: (symbol_that_the_kernel_lacks, "kd_lacks is not exported"),
    Failure.CHECK: (vermagic_of_another, "vermagic is of 1.2.3-other"),
    Failure.DOWNLOAD: (nothing_on_the_mirror, "404"),
    Failure.INTEGRITY: (other_bytes_on_the_mirror, "SHA-256 is "),
    Failure.SYSTEM: (folder_in_the_way, "File exists"),
    Failure.BUG: (damaged_result_of_probes, "KeyError: 'variants'"),
}
WITH_LOG = (Failure.PROBE, Failure.COMPILE, Failure.LINK, Failure.SYMBOL, Failure.CHECK, Failure.BUG)


def test_every_class_is_produced_here() -> None:
    # What fails on a cluster's worker itself is produced by the tests of the cluster.
    assert set(SETTINGS) == set(Failure) - {Failure.WORKER}


@pytest.mark.parametrize("failure", list(SETTINGS))
def test_result_names_its_class_and_first_error(
    failure: Failure, site: BuildSite, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    setting, says = SETTINGS[failure]
    source = site.driver_source()
    kernel = setting(site, source, monkeypatch)
    capsys.readouterr()
    words = ["build", "--kernel", kernel.release, "--kind", "kmod", "--driver-src", str(source), "--json"]
    assert run(words) in (ExitCode.BUILD, ExitCode.SOME_FAILED, ExitCode.INTEGRITY)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    (one,) = found
    assert (one["outcome"], one["failure"]) == ("failed", str(failure)), one["reason"]
    assert one["reason"].startswith(f"{failure}: ")
    assert says in one["reason"]
    if failure in WITH_LOG:
        assert Path(one["log"]).read_text()
    assert one["artifact"] is None


def test_modpost_that_finds_no_symbol_is_a_failure_of_symbols(tmp_path: Path) -> None:
    from builder.failure import class_of

    assert class_of('ERROR: modpost: "f" [kmod/kdriver.ko] undefined!\n') is Failure.SYMBOL
    done = subprocess.run(["ld", "--no-such-option"], capture_output=True, text=True)
    assert class_of(done.stderr) is Failure.LINK
    assert class_of("a.c:1:2: error: x undeclared\n") is Failure.COMPILE
