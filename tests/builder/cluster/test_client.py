"""Where a build may go: to a worker that has the kernel's own compiler, and never to one that nobody has."""

from __future__ import annotations

import shutil
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from builder.cluster.client import first_line, requirement, serves
from builder.cluster.job import is_time_to_tidy, make_job, pack_source, run_job
from builder.plan import BuildPlan
from builder.source import load_source
from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from tests.fakes.tiny_kernel import TOY_DRIVER

OFFERED = {
    "tcp://a": {"build": 2.0, "gcc-12": 2.0, "clang-16": 2.0},
    "tcp://b": {"build": 4.0, "gcc-14": 4.0, "clang-19": 4.0},
}


def plan(kind: DriverKind, compiler: str = "gcc-14") -> BuildPlan:
    kernel = Kernel("debian", "debian13", "1.2.3-tiny", "1", "1.2.3-1", "x86_64", "tiny", (), compiler=compiler)
    return BuildPlan(kernel, kind, "kdriver")


@pytest.mark.parametrize(
    ("kind", "compiler", "needed"),
    [
        pytest.param(DriverKind.KMOD, "gcc-14", {"build": 1, "gcc-14": 1}, id="the kernel's own gcc"),
        pytest.param(DriverKind.KMOD, "gcc-8", {"build": 1}, id="nobody has it: any worker may choose a newer one"),
        pytest.param(DriverKind.KMOD, "", {"build": 1}, id="the index does not know it"),
        pytest.param(DriverKind.BPF, "gcc-14", {"build": 1, "clang-16": 1}, id="the first clang of the table"),
    ],
)
def test_a_build_needs_a_slot_and_the_compiler_that_a_worker_has(
    kind: DriverKind, compiler: str, needed: dict[str, float]
) -> None:
    assert requirement(plan(kind, compiler), OFFERED) == needed


def test_what_no_worker_has_in_one_place_is_not_served() -> None:
    assert serves({"build": 1, "gcc-14": 1}, OFFERED)
    assert not serves({"build": 1, "gcc-8": 1}, OFFERED)
    assert not serves({"gcc-12": 1, "gcc-14": 1}, OFFERED)
    assert not serves({"build": 1}, {})


def test_source_is_packed_alike_wherever_it_lies(tmp_path: Path) -> None:
    shutil.copytree(TOY_DRIVER, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "driver.toml").touch()
    packed, digest = pack_source(load_source(TOY_DRIVER))
    assert pack_source(load_source(tmp_path / "elsewhere")) == (packed, digest)
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        names = tar.getnames()
    assert "driver.toml" in names and "kmod/toy.c" in names


def test_a_worker_of_another_version_refuses() -> None:
    source = load_source(TOY_DRIVER)
    packed, digest = pack_source(source)
    job = make_job(plan(DriverKind.KMOD), source, digest, force=False, mirrors=())
    answer = run_job({**job, "version": "0.0.0"}, packed)
    assert answer["record"] is None
    assert answer["failure"] == "worker"
    assert answer["reason"].endswith("the build is of 0.0.0")


def test_an_error_without_a_word_is_named_by_its_kind() -> None:
    assert first_line(TimeoutError()) == "TimeoutError"
    assert first_line(OSError("one\ntwo")) == "one"


def test_a_worker_tidies_its_cache_once_in_a_while_and_not_for_each_job() -> None:
    start = 1_000_000_000.0
    assert [is_time_to_tidy(start + later) for later in (0, 1, 299, 300, 301, 601)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
