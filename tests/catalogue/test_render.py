"""What is rendered from the catalogue."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.catalogue.expression import parse_expression, to_c
from kdriver.catalogue.load import load_catalogue
from kdriver.catalogue.model import Catalogue
from kdriver.catalogue.render import (
    HEADERS,
    PART_BUDGET,
    pack_version,
    plan_cuts,
    plan_parts,
    push_c,
    render,
    schema_digest,
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def rendered(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gen")
    render(catalogue, out)
    return out


def test_the_same_catalogue_gives_the_same_bytes(catalogue: Catalogue, rendered: Path, tmp_path: Path) -> None:
    render(catalogue, tmp_path)
    for name in HEADERS:
        assert (tmp_path / name).read_bytes() == (rendered / name).read_bytes()


def test_expressions_become_c() -> None:
    assert to_c(parse_expression("user_buf(arg1, write_len(ret, arg2))")) == (
        "kd_cap_user_buf(c, kd_arg(c, 1), kd_val_write_len(c, kd_ret(c), kd_arg(c, 2)))"
    )


def test_fixed_parameters_are_pushed_at_their_width(catalogue: Catalogue) -> None:
    event = catalogue.event("openat")
    assert event is not None
    assert push_c(event.params[3]).startswith("kd_push_u32(c, kd_val_open_flags(")
    assert push_c(event.params[0]).startswith("kd_push_u64(c, ")


def test_parts_hold_every_parameter_once_and_in_order(catalogue: Catalogue) -> None:
    for event in catalogue.events:
        parts = plan_parts(event)
        assert tuple(param for part in parts for param in part.params) == event.params
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        assert next(part.first for part in parts) == 0


def test_a_smaller_budget_cuts_more_parts(catalogue: Catalogue) -> None:
    event = catalogue.event("execve")
    assert event is not None
    assert len(plan_parts(event, PART_BUDGET // 2)) > len(plan_parts(event, PART_BUDGET))
    assert len(plan_parts(event, 10**9)) == 1


def test_versions_are_packed_as_the_interface_has_them() -> None:
    assert pack_version("10.1.0") == 10 << 44 | 1 << 24
    assert pack_version("4.5.1") == 4 << 44 | 5 << 24 | 1


def test_the_decode_table_compiles_and_lists_every_event(catalogue: Catalogue, rendered: Path, tmp_path: Path) -> None:
    source = tmp_path / "list.c"
    source.write_text(
        '#include <stdio.h>\n#include "kd_decode.h"\n'
        "int main(void) { (void)kd_type_size; (void)kd_calls_x86_64; (void)kd_calls_i386;\n"
        "for (int i = 0; i < KD_SLOTS; i++)\n"
        'printf("%d %s %d\\n", kd_events[i].id, kd_events[i].name, kd_events[i].nparams);\n'
        "return 0; }\n"
    )
    program = tmp_path / "list"
    subprocess.run(["gcc", "-Wall", "-Werror", f"-I{rendered}", "-o", str(program), str(source)], check=True)
    lines = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines == [f"{event.id} {event.name} {len(event.params)}" for event in catalogue.events]


_ROW = re.compile(r'= \{ \d+, "(\w+)", "\w+", "[^"]*", "[^"]*", (\d+), (\d+), \{ ([\d, ]+) \}, ')


def test_tail_calls_go_to_the_next_part_of_the_same_event(rendered: Path) -> None:
    text = (rendered / "kd_programs.h").read_text()
    rows = _ROW.findall((rendered / "kd_decode.h").read_text())
    names = [name for name, *_ in rows]
    for name, tail, parts, owners in rows:
        owner_names = [names[int(owner)] for owner in owners.split(", ")]
        assert len(owner_names) == int(parts)
        assert owner_names[0] == name
        for part, owner in enumerate(owner_names):
            body = text.split(f"int kd_f_{owner}_{part}(")[1].split("\n}\n")[0]
            following = re.findall(r"bpf_tail_call\(ctx, &kd_tail\w*, (.+)\);", body)
            wanted = str(int(tail) + 1) if part == 0 else f"c->state->tail + {part + 1}"
            assert following == ([wanted] if part < int(parts) - 1 else [])
            if part == 0 and following:
                assert re.search(rf"kd_pause_first\(c, \d+, {tail}\);", body)


def test_what_events_capture_alike_is_one_program(catalogue: Catalogue, rendered: Path) -> None:
    text = (rendered / "kd_programs.h").read_text()
    rows = {name: owners.split(", ") for name, _, _, owners in _ROW.findall((rendered / "kd_decode.h").read_text())}
    assert rows["fork"][1:] == rows["vfork"][1:]
    assert len(set(rows["clone"]) & set(rows["fork"])) == 1
    for one, other in (("clone", "clone3"), ("clone", "fork"), ("execve", "execveat")):
        alike = sum(a == b for a, b in zip(rows[one], rows[other], strict=True))
        assert alike >= len(rows[one]) - 3, (one, other, rows[one], rows[other])
    captures = [body.split("{\n", 1)[1] for body in text.split("SEC(")[1:] if "kd_continue" in body]
    assert len(captures) == len(set(captures))


def test_only_long_events_that_are_much_alike_are_cut_for_another(catalogue: Catalogue) -> None:
    cuts = plan_cuts(catalogue)
    assert cuts["clone"] == {1, 15, 16}
    assert cuts["execve"] == cuts["execveat"] == {3, 15, 16, 30}
    assert not cuts["sendmsg"]
    event = catalogue.event("execveat")
    assert event is not None
    assert plan_parts(event, cuts=cuts["execveat"])[-1].params == ()


def test_the_digest_changes_with_the_table_and_only_with_it(catalogue: Catalogue) -> None:
    first = catalogue.events[0]
    renamed = replace(first, params=(replace(first.params[0], name="other"), *first.params[1:]))
    recaptured = replace(first, params=(replace(first.params[0], capture="ret"), *first.params[1:]))
    assert schema_digest(replace(catalogue, events=(renamed, *catalogue.events[1:]))) != schema_digest(catalogue)
    assert schema_digest(replace(catalogue, events=(recaptured, *catalogue.events[1:]))) == schema_digest(catalogue)
