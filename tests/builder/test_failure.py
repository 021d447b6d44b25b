"""What a person is shown of a log: the first error, and the lines that follow it."""

from __future__ import annotations

import pytest

from builder.failure import first_error, relevant_lines


@pytest.mark.parametrize(
    ("log", "first"),
    [
        pytest.param(
            "$ make\n  CC [M] a.o\na.c:3:5: error: x undeclared\n    3 | x\nmake[1]: *** [a.o] Error 1\n",
            "a.c:3:5: error: x undeclared",
            id="compiler",
        ),
        pytest.param(
            "a.c:1:10: fatal error: b.h: No such file\n", "a.c:1:10: fatal error: b.h: No such file", id="fatal"
        ),
        pytest.param(
            'a.c:1: warning: y\nERROR: modpost: "f" [kdriver.ko] undefined!\n',
            'ERROR: modpost: "f" [kdriver.ko] undefined!',
            id="modpost",
        ),
        pytest.param("ld: a.o: undefined reference to `f'\n", "ld: a.o: undefined reference to `f'", id="linker"),
        pytest.param(
            "$ make\nmake: *** No rule to make target 'modules'.  Stop.\n", "make: *** No rule", id="only make"
        ),
        pytest.param(
            "./objtool: /lib/libc.so.6: version `GLIBC_2.38' not found\nmake: *** x\n", "./objtool", id="last"
        ),
        pytest.param("", "", id="nothing"),
    ],
)
def test_first_error_is_the_first_line_that_names_one(log: str, first: str) -> None:
    assert first_error(log).startswith(first)
    assert bool(first_error(log)) == bool(first)


def test_lines_from_the_first_error_on_are_shown() -> None:
    log = "\n".join([*(f"noise {number}" for number in range(30)), "a.c:1: error: x", "note: y", *["more"] * 30])
    shown = relevant_lines(log).splitlines()
    assert shown[:2] == ["a.c:1: error: x", "note: y"]
    assert len(shown) == 8
