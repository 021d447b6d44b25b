"""The real drivers for the newest kernels of both lines of Debian 12, into this machine's own cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder.bench import Bench
from builder.choice import ExecutorName, make_toolchains
from builder.kinds.bpf import include_argv
from builder.plan import plan_builds
from builder.source import load_source, render_headers
from kdriver.cli import run
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode
from kdriver.core.paths import cache_dir
from kdriver.inspect.elf import read_module, read_object
from kernel_index.query import select_kernels
from kernel_index.store import load_kernels

pytestmark = [pytest.mark.network, pytest.mark.slow]
KERNELS = ("newest", "newest:6.12", "newest:cloud-amd64", "newest:6.12:cloud-amd64")


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_INDEX", str(tmp_path_factory.mktemp("index")))
        assert run(["index", "update", "--distro", "debian12"]) == ExitCode.DONE
        yield


@pytest.mark.parametrize("kernel", KERNELS)
def test_all_kinds_are_built_and_pass_every_check(kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["build", "--distro", "debian12", "--kernel", kernel, "--json"]) == ExitCode.DONE
    found = {one["kind"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(found) == {"kmod", "bpf", "core"}
    assert {one["outcome"] for one in found.values()} <= {"built", "cached"}
    release = found["kmod"]["kernel"].split("/")[2]
    module = read_module(Path(found["kmod"]["artifact"]))
    assert module.release == release
    assert module.versions["module_layout"]
    probe = read_object(Path(found["bpf"]["artifact"]))
    assert probe.text("kd_release") == release
    events = json.loads(_events(capsys))
    core = read_object(Path(found["core"]["artifact"]))
    for event in events:
        assert f"kd_f_{event['name']}_0" in probe.functions
        assert f"kd_f_{event['name']}_0" in core.functions


def test_module_is_gnu89_without_declarations_after_statements(tmp_path: Path) -> None:
    """CentOS 7's gcc 4.8 takes no more. The headers of 6.1 need C11 themselves, so of what gcc says only that of our
    own files counts."""
    source = load_source()
    kernel = select_kernels(load_kernels(), distro="debian12", kernel="newest")[0]
    (plan,) = plan_builds([kernel], [DriverKind.KMOD], source)
    generated = render_headers(source, cache_dir() / "generated")
    toolchains = make_toolchains(ExecutorName.LOCAL, cache_dir())
    bench = Bench(cache_dir(), source, generated, toolchains, force=False, on_step=lambda plan, step: None)
    tree = bench.tree(plan)
    prepared = bench.prepare(plan, tree)
    (tmp_path / "kd_probes.h").write_text(prepared.probes.header())
    kmod = source.folder / "kmod"
    argv = [
        prepared.compiler.path, "-fsyntax-only", "-std=gnu89", "-Werror=declaration-after-statement", "-nostdinc",
        *include_argv(tree), f"-I{kmod}", f"-I{source.folder}/common", f"-I{generated}", f"-I{tmp_path}",
        "-D__KERNEL__", "-DMODULE", "-DCC_USING_FENTRY", '-DKBUILD_MODNAME="kdriver"', "-fshort-wchar",
        "-fms-extensions", "-mfentry", "-pg", "-fmax-errors=0", "-fno-diagnostics-show-caret",
    ]  # fmt: skip
    said = {file: _complaints(argv, file) for file in (*sorted(kmod.glob("*.c")), _spoilt(tmp_path))}
    assert len(said.pop(tmp_path / "spoilt.c")) == 2, "the check itself does not work"
    assert not [line for lines in said.values() for line in lines]


def _complaints(argv: list[str], file: Path) -> list[str]:
    """The errors that gcc finds in files of the driver source, or beside `file`."""
    done = subprocess.run([*argv, str(file)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    ours = (str(file.parent), str(file.parent.parent / "common"))
    return [line for line in done.stderr.splitlines() if line.startswith(ours) and " error: " in line]


def _spoilt(folder: Path) -> Path:
    """A file with both faults: without it, a check that never complains would go unnoticed."""
    path = folder / "spoilt.c"
    path.write_text(
        "int kd_x(int a)\n{\n\ta++;\n\tint y = a;\n\tfor (int i = 0; i < y; i++)\n\t\ta++;\n\treturn a;\n}\n"
    )
    return path


def _events(capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["events", "list", "--json"]) == ExitCode.DONE
    return capsys.readouterr().out
