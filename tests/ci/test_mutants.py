"""Seeded defects: each still fits the driver sources, and the gate catches two of them (ci/bench mutants: all)."""

from __future__ import annotations

from pathlib import Path

import bench_mutants
import pytest
from mutants import Edit, Mutant, MutantError, apply_mutant, edited, read_mutants

from builder.source import load_source
from kdriver.catalogue.load import load_catalogue
from kdriver.core.paths import source_dir
from kernel_index.query import find_kernels
from tests.e2e.conftest import update_index

MUTANTS = read_mutants()
CLASSES = (
    "wrong parameter order", "lost event", "truncated string", "swapped ids", "off-by-one length", "stale pid",
    "missing compat call", "leak of the ring", "use after unload", "event while switched off", "kernel warning",
)  # fmt: skip
IN_CI = ("wrong parameter order", "leak of the ring")


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_defect_fits_the_driver_source(mutant: Mutant, tmp_path: Path) -> None:
    sound = source_dir("driver_src").resolve()
    folder = apply_mutant(mutant, sound, tmp_path / "driver_src")
    for edit in mutant.edits:
        assert (folder / edit.file).read_text() != (sound / edit.file).read_text()
    source = load_source(folder)
    assert set(mutant.kinds) <= set(source.kinds)
    load_catalogue(folder)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_of_defect_has_a_mutant(name: str) -> None:
    assert [mutant for mutant in MUTANTS if mutant.name.startswith(name)]


def test_every_kind_has_mutants() -> None:
    assert {kind for mutant in MUTANTS for kind in mutant.kinds} == set(load_source().kinds)


TEXT = """int one(void)
{
	return 1;
}

int two(void)
{
	return 1;
}
"""


def test_an_edit_is_made_in_the_function_that_is_meant() -> None:
    edit = Edit("x.c", "return 1;", "return 2;", after="int two(")
    assert edited(TEXT, edit, "m") == TEXT.replace("two(void)\n{\n\treturn 1", "two(void)\n{\n\treturn 2")


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(Edit("x.c", "return 1;", "return 2;"), id="twice"),
        pytest.param(Edit("x.c", "return 3;", "return 2;"), id="nowhere"),
        pytest.param(Edit("x.c", "return 1;", "return 2;", after="int three("), id="no such function"),
        pytest.param(Edit("x.c", "return 1;", "return 2;", after="int "), id="several functions"),
        pytest.param(Edit("x.c", "int two(void)", "int three(void)", after="int one("), id="in another function"),
    ],
)
def test_an_edit_that_does_not_fit_once_is_an_error(edit: Edit) -> None:
    with pytest.raises(MutantError):
        edited(TEXT, edit, "m")


@pytest.mark.qemu
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", IN_CI)
def test_the_gate_catches_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one kind, for time's sake: the module. The gate is the same for all."""
    update_index(tmp_path / "index")
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    (kernel,) = find_kernels(distro="debian12", kernel=bench_mutants.KERNEL)
    (trial,) = bench_mutants.try_mutant(mutant, kernel, kinds=mutant.kinds[:1])
    assert (trial.outcome, trial.kind) == (bench_mutants.CAUGHT, "kmod"), trial
