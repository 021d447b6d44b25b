"""A module fits a kernel when every symbol that it needs is exported with the CRC that it was built against."""

from __future__ import annotations

import pytest

from kdriver.core.errors import IntegrityError
from kdriver.inspect.elf import ModuleFacts
from kdriver.inspect.symvers import compare_symbols, parse_symvers

EXPORTED = {"module_layout": 1, "kmalloc": 2, "kfree": 3}


def module(versions: dict[str, int], undefined: tuple[str, ...] = ("kmalloc",)) -> ModuleFacts:
    return ModuleFacts((), versions, undefined, ())


def test_lines_of_every_age_are_read() -> None:
    text = "0x00000010\told\tvmlinux\tEXPORT_SYMBOL\n0x00000020\tnew\tvmlinux\tEXPORT_SYMBOL_GPL\tNAMESPACE\n"
    assert parse_symvers(text) == {"old": 16, "new": 32}


def test_line_of_another_shape_is_named() -> None:
    with pytest.raises(IntegrityError, match=r"Module\.symvers: line 2 is not"):
        parse_symvers("0x1\ta\tb\tc\nnonsense\n")


def test_module_with_the_kernels_crcs_fits() -> None:
    assert compare_symbols(module({"module_layout": 1, "kmalloc": 2}), EXPORTED) == ()


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param(
            module({"module_layout": 1, "kmalloc": 9}),
            "kmalloc has CRC 0x00000009 in the module and 0x00000002 in the kernel",
            id="another crc",
        ),
        pytest.param(
            module({"module_layout": 7, "kmalloc": 2}), "module_layout has CRC 0x00000007", id="another module layout"
        ),
        pytest.param(module({"module_layout": 1, "gone": 2}, ()), "gone is not exported", id="not exported"),
        pytest.param(module({"module_layout": 1}), "kmalloc has no CRC in the module", id="symbol without a crc"),
    ],
)
def test_module_that_does_not_fit_names_the_symbol(facts: ModuleFacts, says: str) -> None:
    (mismatch,) = compare_symbols(facts, EXPORTED)
    assert says in str(mismatch)


def test_without_modversions_only_names_count() -> None:
    plain = {"kmalloc": 0}
    assert compare_symbols(module({}), plain) == ()
    (mismatch,) = compare_symbols(module({}, ("kfree",)), plain)
    assert str(mismatch) == "kfree is not exported"
