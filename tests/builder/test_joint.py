"""Compile probes in one file: what may be joined, whose an error is, and that the answers are those of one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.headers import HeaderTree
from builder.joint import Errors, joint_source, parse_probe, read_errors
from builder.probes import run_probes
from builder.toolchain import find_gccs
from kdriver.executors.local import LocalExecutor
from tests.fakes.tiny_kernel import tiny_tree

OURS = sorted((Path(__file__).resolve().parents[2] / "driver_src/kmod/probes").glob("*.c"))
USE = "/* Since 1.0. */\n#include <linux/slab.h>\n\nvoid *kd_probe(void);\nvoid *kd_probe(void)\n{\n\treturn {it};\n}\n"
HAVE = USE.replace("{it}", "kmalloc(1, GFP_KERNEL)")
LACK = USE.replace("{it}", "kd_no_kernel_has_this(1)")


@pytest.mark.parametrize(
    ("text", "joinable"),
    [
        pytest.param(HAVE, True, id="functions called kd_probe"),
        pytest.param("typedef char kd_probe[1];\n", True, id="a type called kd_probe"),
        pytest.param("static void (*kd_probe_it)(void) = it;\n", True, id="a longer name"),
        pytest.param("#ifndef X\n#error none\n#endif\n#ifdef Y\nint kd_probe;\n#endif\n", True, id="conditions"),
        pytest.param("struct kd_probe {\n\tint a;\n};\n", True, id="a structure of its own"),
        pytest.param("enum kd_probe { A };\n", False, id="an enum, whose members are names"),
        pytest.param("extern int printk(const char *, ...);\n", False, id="another declaration of something"),
        pytest.param("int kd_probe;\nint kd_probed;\n", False, id="a name that only begins like ours"),
        pytest.param("#define kd_probe 1\n", False, id="a macro"),
        pytest.param("#ifdef X\nint kd_probe;\n", False, id="a condition without end"),
        pytest.param("int kd_probe(void)\n{\n", False, id="a brace without end"),
        pytest.param("int kd_probe(void)\n{\n}\n}\n", False, id="a brace too many"),
        pytest.param("#ifdef X\n#include <linux/a.h>\n#endif\n", False, id="a header under a condition"),
        pytest.param('#include "a.h"\n', False, id="a header beside it"),
        pytest.param("MODULE_LICENSE(1);\n", False, id="a macro that declares something"),
        pytest.param("/* int x; */\nint kd_probe;\n", True, id="what stands in a comment"),
    ],
)
def test_probe_is_joined_when_it_means_nothing_to_others(text: str, joinable: bool) -> None:
    assert parse_probe("a__b", text).joinable is joinable


def test_nearly_all_of_our_probes_are_joined() -> None:
    apart = [path.stem for path in OURS if not parse_probe(path.stem, path.read_text()).joinable]
    assert apart == ["mm_shmem__none", "sanity"]


def test_joint_file_has_each_header_once_and_each_name_apart() -> None:
    source = joint_source([parse_probe("a__x", HAVE), parse_probe("a__y", LACK)])
    assert source.count("#include <linux/slab.h>") == 1
    assert source.count("void *kd_probe_0(void)") == source.count("void *kd_probe_1(void)") == 2
    lines = source.splitlines()
    assert lines[lines.index('#line 1 "kd_probe/a__y.c"') + 7] == "\treturn kd_no_kernel_has_this(1);"


def errors(*lines: str) -> Errors:
    return read_errors("\n".join(lines), [parse_probe("a__x", HAVE), parse_probe("a__y", LACK)])


@pytest.mark.parametrize(
    ("lines", "sure", "doubtful", "stray"),
    [
        pytest.param(
            ["kd_probe/a__x.c: In function 'kd_probe_0':", "kd_probe/a__x.c:8:9: error: 'f' has no member named 'g'"],
            {"a__x"}, set(), False, id="an error of meaning",
        ),
        pytest.param(["kd_probe/a__x.c:8:9: error: expected ';' before 'x'"], set(), {"a__x"}, False, id="of syntax"),
        pytest.param(
            ["kd_probe/a__x.c:8:9: error: expected ';'", "kd_probe/a__x.c:9:1: error: size of array 'x' is negative"],
            set(), {"a__x"}, False, id="of both",
        ),
        pytest.param(
            ["kd_probe/a__x.c:9:1: error: control reaches end of non-void function [-Werror=return-type]"],
            set(), {"a__x"}, False, id="what follows from others, alone",
        ),
        pytest.param(
            ["kd_probe/includes:3:10: fatal error: linux/slab.h: No such file or directory"],
            {"a__x", "a__y"}, set(), False, id="a header that is missing",
        ),
        pytest.param(["include/linux/slab.h:3:1: error: x undeclared here (not in a function)"], set(), set(), True,
                     id="in a header"),
        pytest.param(["cc1: error: unrecognized command-line option"], set(), set(), True, id="of the compiler"),
        pytest.param(["gcc: fatal error: Killed signal terminated program cc1"], set(), set(), True, id="its end"),
        pytest.param(["kd_probe/a__x.c:8:9: warning: unused", "cc1: some warnings being treated as errors"],
                     set(), set(), False, id="no error"),
        pytest.param(["kd_probe/b__z.c:8:9: error: 'f' has no member named 'g'"], set(), set(), True,
                     id="of a probe that is not there"),
        pytest.param(["kd_probe/a__y.c:8: error: implicit declaration of function 'f' [-Werror]"], {"a__y"}, set(),
                     False, id="without a column"),
    ],
)  # fmt: skip
def test_error_is_believed_when_it_can_only_be_the_probes_own(
    lines: list[str], sure: set[str], doubtful: set[str], stray: bool
) -> None:
    assert errors(*lines) == Errors(frozenset(sure), frozenset(doubtful), stray)


@pytest.mark.parametrize(
    "probes",
    [
        pytest.param({"a__x": HAVE, "a__y": LACK}, id="one there, one not"),
        pytest.param({"a__x": LACK, "a__y": HAVE, "b__z": LACK}, id="an undeclared function that two call"),
        pytest.param(
            {"a__x": HAVE, "b__y": "#include <linux/none.h>\nint kd_probe;\n", "b__z": "int kd_probe = nothing;\n"},
            id="a header that is missing",
        ),
        pytest.param(
            {"a__x": HAVE, "b__y": "int kd_probe = nothing;\n", "c__z": "int kd_probe_too = nothing;\n"},
            id="a name that two miss at file scope, of which gcc says it once",
        ),
        pytest.param(
            {"a__w": "int kd_probe(void)\n{\n\treturn (1;\n}\n", "b__x": HAVE, "c__y": LACK}, id="an error of syntax"
        ),
        pytest.param(
            {"a__x": "enum kd_probe { KD_NEW };\n", "b__y": "typedef char kd_probe[KD_NEW + 1];\n", "c__z": HAVE},
            id="a name that another one makes",
        ),
        pytest.param(
            {"a__x": "int kd_probe(void);\nint kd_probe(void)\n{\n\treturn sizeof(char[-1]);\n}\n", "c__z": HAVE},
            id="an error that is not known",
        ),
    ],
)
def test_answers_are_those_of_one_by_one(probes: dict[str, str], tmp_path: Path) -> None:
    tree = tiny_tree(tmp_path)
    assert "sanity" not in probes
    found = [_find(tmp_path / str(alone), tree, probes, alone=alone) for alone in (False, True)]
    assert found[0] == found[1]
    assert found[0], "one of them compiles"


def _find(folder: Path, tree: HeaderTree, probes: dict[str, str], *, alone: bool) -> tuple[str, ...]:
    """What compiles. Each probe is a group of its own: rules of groups are not asked here."""
    texts = {f"{stem.replace('__', '_')}__it": text for stem, text in probes.items()}
    texts["sanity"] = '#include <linux/module.h>\nMODULE_LICENSE("Dual MIT/GPL");\n'
    source = folder / "probes"
    source.mkdir(parents=True)
    for stem, text in texts.items():
        (source / f"{stem}.c").write_text(text)
    gcc = find_gccs()[0]
    executor = LocalExecutor()
    log = folder / "log"
    return run_probes(source, tree, gcc, cache=folder / "cache", log=log, executor=executor, one_by_one=alone).variants
