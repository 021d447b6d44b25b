"""The capture tool and the CO-RE probe, built once for all tests of a run from this source."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.catalogue.render import render
from kdriver.core.paths import source_dir

MakeTool = Callable[..., Path]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated headers."""
    folder = tmp_path_factory.mktemp("gen")
    render(load_catalogue(), folder)
    return folder


@pytest.fixture(scope="session")
def make_capture(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeTool:
    """Builds kd-capture with further variables for make; returns the program."""

    def make(*variables: str) -> Path:
        out = tmp_path_factory.mktemp("capture")
        argv = ["make", "-s", "-C", str(source_dir("driver_src") / "capture"), f"OUT={out}", f"GEN={generated}"]
        done = subprocess.run([*argv, *variables], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return out / "kd-capture"

    return make


@pytest.fixture(scope="session")
def capture_tool(make_capture: MakeTool) -> Path:
    """kd-capture as it is shipped: static."""
    return make_capture()


@pytest.fixture(scope="session")
def may_load_bpf() -> None:
    """Skips a test where bpf() is not allowed or not there: the attempt is a map of one element."""
    if shutil.which("clang-16") is None:
        pytest.skip("clang-16 is not installed")
    attributes = (ctypes.c_uint32 * 18)(2, 4, 4, 1)  # BPF_MAP_TYPE_ARRAY, key and value of four bytes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.syscall(321, 0, ctypes.byref(attributes), ctypes.sizeof(attributes)) < 0:
        pytest.skip(f"this kernel does not let us use bpf(): errno {ctypes.get_errno()}")
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("this kernel has no type information")


def compile_bpf(source: Path, out: Path, *includes: Path, defines: tuple[str, ...] = ()) -> Path:
    """An eBPF object out of one C file, as the builder makes it."""
    argv = ["clang-16", "-target", "bpf", "-mcpu=v2", "-D__TARGET_ARCH_x86", "-I/usr/include/x86_64-linux-gnu"]
    argv += [f"-I{folder}" for folder in includes] + [f"-D{define}" for define in defines]
    argv += ["-std=gnu11", "-O2", "-g", "-c", str(source), "-o", str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return out


def compile_core(generated: Path, out: Path, *defines: str) -> Path:
    """The CO-RE probe of this source."""
    root = source_dir("driver_src")
    sources = sorted((root / "core").glob("*.c"))
    assert len(sources) == 1
    return compile_bpf(sources[0], out, root / "common", generated, root / "core", defines=defines)


@pytest.fixture(scope="session")
def core_object(may_load_bpf: None, generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CO-RE probe."""
    return compile_core(generated, tmp_path_factory.mktemp("core") / "kdriver.core.o")


@pytest.fixture(scope="session")
def perf_object(may_load_bpf: None, generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CO-RE probe as on a kernel without ring buffers: the switch that turns them on goes by another name."""
    out = tmp_path_factory.mktemp("perf") / "kdriver.core.o"
    return compile_core(generated, out, "kd_use_ringbuf=kd_switched_by_nobody")
