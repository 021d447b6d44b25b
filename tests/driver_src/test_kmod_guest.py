"""The module on real kernels: a guest loads it and checks its devices from inside (tests/driver_src/kmod_guest)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.source import load_source, render_headers
from kdriver.cli import run
from kdriver.core.download import cached
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import PackageRole
from kdriver.core.paths import cache_dir
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.image import kernel_from_package
from kdriver.verifier.initramfs import regular, write_initramfs
from kdriver.verifier.machine import MachinePlan, machine_argv
from kernel_index.query import select_kernels
from kernel_index.sources import package_urls
from kernel_index.store import load_kernels

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

HERE = Path(__file__).resolve().parent
GUEST = HERE / "kmod_guest"
KERNELS = ("newest:cloud-amd64", "newest:6.12:cloud-amd64")
CHECKS = re.findall(r'\{"(\w+)", \w+\}', "".join(path.read_text() for path in sorted(GUEST.glob("check_*.c"))))
TIMEOUT_S = 300
ATTEMPTS = 2
TROUBLE = re.compile(r"BUG|WARNING|Oops|Call Trace|general protection|unable to handle")


def _build_module(kernel: str, capsys: pytest.CaptureFixture[str]) -> Path:
    argv = ["build", "--distro", "debian12", "--kernel", kernel, "--kind", "kmod", "--json"]
    assert run(argv) == ExitCode.DONE
    (built,) = json.loads(capsys.readouterr().out)
    return Path(built["artifact"])


def _compile_init(out: Path) -> Path:
    generated = render_headers(load_source(), cache_dir() / "generated")
    sources = [str(path) for path in sorted(GUEST.glob("*.c"))]
    include = [f"-I{GUEST}", f"-I{generated}", f"-I{HERE.parent.parent / 'driver_src' / 'common'}"]
    argv = [
        "gcc",
        "-static",
        "-O1",
        "-s",
        "-Wall",
        "-Werror",
        "-Wno-format-zero-length",
        *include,
        "-o",
        str(out),
        *sources,
        "-lpthread",
    ]
    subprocess.run(argv, check=True, timeout=120)
    return out


def _boot(kernel: str, module: Path, folder: Path) -> list[str]:
    """What the guest wrote, in lines; a boot that never reached process 1 is repeated once."""
    (found,) = select_kernels(load_kernels(), distro="debian12", kernel=kernel)
    package = found.package(PackageRole.IMAGE)
    assert package is not None
    image = cached(package_urls(found, package), package.sha256, package.size_bytes, package.file_name)
    init = _compile_init(folder / "init")
    entries = [regular("init", init.read_bytes(), executable=True), regular("kdriver.ko", module.read_bytes())]
    (folder / "initramfs").write_bytes(write_initramfs(entries))
    plan = MachinePlan(
        find_qemu(),
        kernel_from_package(image, found.release).path,
        folder / "initramfs",
        folder / "console",
        folder / "results",
    )
    # Hooks that come and go rewrite the kernel's code while the other CPU runs it. QEMU 7.2 with a thread for each CPU
    # goes on executing the old breakpoint now and then, and the guest hangs; with one thread for both it never did.
    argv = ["tcg,thread=single" if word == "tcg" else word for word in machine_argv(plan)]
    lines: list[str] = []
    for _ in range(ATTEMPTS):
        subprocess.run(argv, check=True, timeout=TIMEOUT_S)
        lines = plan.results.read_text(errors="replace").replace("\r", "").splitlines()
        if lines:
            break
    return lines


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_INDEX", str(tmp_path_factory.mktemp("index")))
        assert run(["index", "update", "--distro", "debian12"]) == ExitCode.DONE
        yield


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_check_passes_inside_a_guest(kernel: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _boot(kernel, _build_module(kernel, capsys), tmp_path)
    assert not [line for line in lines if line.startswith("fail ")]
    passed = [line.removeprefix("pass ") for line in lines if line.startswith("pass ")]
    assert passed == ["module_loads", *_in_order_of_run(), "module_unloads"]
    assert lines[-1] == "end"
    kernel_log = [line for line in lines if line.startswith("kernel ")]
    assert kernel_log, "the kernel always says that the module is from outside of its tree"
    assert not [line for line in kernel_log if TROUBLE.search(line)]


def _in_order_of_run() -> list[str]:
    texts = [(GUEST / f"check_{part}.c").read_text() for part in ("scap", "native", "load")]
    return [name for text in texts for name in re.findall(r'\{"(\w+)", \w+\}', text)]


def test_the_guest_has_checks() -> None:
    assert len(CHECKS) == len(set(CHECKS)) > 20
