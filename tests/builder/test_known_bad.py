"""The table of known bad kernels: what it rules out, with its range, and how a user's file overrides any line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.known_bad import KnownBad, Line, Ruling, load_known_bad, read_lines, row_line
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel
from kernel_index.table import load_table

KERNEL = Kernel("debian", "debian12", "6.1.0-52-amd64", "1", "1", "x86_64", "amd64", ())
LINE = Line(
    "bad-range",
    (DriverKind.KMOD,),
    distro="debian",
    release="*-amd64",
    first="6.1.0-50-amd64",
    before="6.1.0-53-amd64",
    reason="the module hangs",
)


@pytest.mark.parametrize(
    ("line", "kernel", "kind", "covered"),
    [
        pytest.param(LINE, KERNEL, DriverKind.KMOD, True, id="in the range"),
        pytest.param(LINE, KERNEL, DriverKind.BPF, False, id="another kind"),
        pytest.param(LINE, replace(KERNEL, release="6.1.0-50-amd64"), DriverKind.KMOD, True, id="first is included"),
        pytest.param(LINE, replace(KERNEL, release="6.1.0-53-amd64"), DriverKind.KMOD, False, id="before is not"),
        pytest.param(LINE, replace(KERNEL, release="6.1.0-49-amd64"), DriverKind.KMOD, False, id="older"),
        pytest.param(LINE, replace(KERNEL, release="6.1.0-52-arm64"), DriverKind.KMOD, False, id="another name"),
        pytest.param(LINE, replace(KERNEL, distro="ubuntu"), DriverKind.KMOD, False, id="another distribution"),
        pytest.param(replace(LINE, distro="debian12"), KERNEL, DriverKind.KMOD, True, id="by its row"),
        pytest.param(Line("all", tuple(DriverKind)), KERNEL, DriverKind.CORE, True, id="no range"),
    ],
)
def test_line_covers_its_range(line: Line, kernel: Kernel, kind: DriverKind, covered: bool) -> None:
    assert line.covers(kernel, kind) is covered


def test_ruling_says_why_and_for_which_range() -> None:
    assert KnownBad((LINE,)).ruling(KERNEL, DriverKind.KMOD) == Ruling(
        "known bad: the module hangs (debian, *-amd64, from 6.1.0-50-amd64, before 6.1.0-53-amd64)", "bad-range"
    )
    assert KnownBad((LINE,)).ruling(KERNEL, DriverKind.CORE) == Ruling()


def test_every_line_that_a_row_makes_can_be_switched_off(tmp_path: Path) -> None:
    rows = load_table()
    kernels = [
        replace(KERNEL, distro=row.family, distro_release=row.id, release="0.0.1-1-generic")
        for row in rows
        if set(row.kinds) != set(DriverKind)
    ]
    plain = load_known_bad(rows)
    ruled = [(one, kind) for one in kernels for kind in DriverKind if plain.ruling(one, kind).reason]
    assert len(ruled) > 10
    text = "".join(f'[[line]]\nid = "{plain.ruling(one, kind).line}"\noff = true\n' for one, kind in ruled)
    (tmp_path / "mine.toml").write_text(text)
    mine = load_known_bad(rows, tmp_path / "mine.toml")
    assert [mine.ruling(one, kind) for one, kind in ruled] == [Ruling()] * len(ruled)


def test_line_of_a_user_takes_the_place_of_a_rows(tmp_path: Path) -> None:
    rows = load_table()
    row = next(row for row in rows if row.id == "centos7")
    kernel = replace(KERNEL, distro="centos", distro_release="centos7", release="3.10.0-1160.el7.x86_64")
    file = tmp_path / "mine.toml"
    file.write_text(f'[[line]]\nid = "{row_line(row, DriverKind.CORE)}"\nkinds = ["core"]\nreason = "our own words"\n')
    assert load_known_bad(rows).ruling(kernel, DriverKind.CORE).line == "centos7-core"
    assert load_known_bad(rows, file).ruling(kernel, DriverKind.CORE) == Ruling(
        "known bad: our own words (every distribution)", "centos7-core"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[[line]]\nreason = 'x'\n", "line 1: id is missing", id="no id"),
        pytest.param("[[line]]\nid = 'a'\n", "line 1: reason is missing", id="no reason"),
        pytest.param("[[line]]\nid = 'a'\nreason = 'x'\nkinds = ['lkm']\n", "kinds is no list of kmod, bpf", id="kind"),
        pytest.param("[[line]]\nid = 'a'\nreason = 'x'\nfrom = '1'\n", "line 1: from is unknown", id="unknown key"),
        pytest.param("[[line]]\nid = 'a'\noff = true\n" * 2, "id 'a' stands twice", id="twice"),
        pytest.param("[line]\n", "line is no list of tables", id="no list"),
        pytest.param("[[line]]\nid = 'a'\noff = 'yes'\n", "off is neither true nor false", id="off"),
        pytest.param("[[lines]]\n", "lines is unknown", id="misspelt"),
        pytest.param("[[", "Invalid initial character", id="no TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_lines(tmp_path / "bad.toml")
    assert says in refused.value.message
    assert refused.value.hint


def test_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_known_bad((), tmp_path / "none.toml")
