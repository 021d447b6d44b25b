"""Which captures follow a pointer."""

from __future__ import annotations

import pytest

from kdriver.catalogue.expression import PRIMITIVES
from kdriver.catalogue.load import load_catalogue
from kdriver.catalogue.pointers import NO_POINTERS, POINTERS, Pointer, pointer_of


def test_every_primitive_that_writes_a_parameter_says_whether_it_follows_a_pointer() -> None:
    """Else an event could be added whose pointers nobody tries. List a new one in kdriver/catalogue/pointers.py."""
    writing = {name for name, primitive in PRIMITIVES.items() if primitive.writes}
    assert writing - POINTERS.keys() - NO_POINTERS == set()
    assert POINTERS.keys() & NO_POINTERS == set()
    assert (POINTERS.keys() | NO_POINTERS) - PRIMITIVES.keys() == set()


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        pytest.param("user_str(arg1)", (Pointer(0, bounded=True), 1), id="string"),
        pytest.param("sockopt_set(arg1, arg2, arg3, arg4)", (Pointer(2, bounded=True), 3), id="third-argument"),
        pytest.param("user_timespec(arg2)", (Pointer(0), 2), id="structure"),
        pytest.param("u32(arg0)", None, id="number"),
        pytest.param("task_comm()", None, id="of-the-task"),
    ],
)
def test_the_argument_that_is_the_pointer_is_found(capture: str, expected: tuple[Pointer, int] | None) -> None:
    assert pointer_of(capture) == expected


def test_every_pointer_of_the_catalogue_is_an_argument_of_the_call() -> None:
    found = [pointer_of(param.capture) for event in load_catalogue().events for param in event.params]
    assert all(0 <= one[1] <= 5 for one in found if one)
    assert sum(one is not None for one in found) > 100
