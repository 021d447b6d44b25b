"""What an image's shell says of its compilers is read strictly."""

from __future__ import annotations

import json

import pytest

from builder.images.probe import ImageFacts, parse_facts

SAID = """$ sh -c …
kd|libc|2.36
kd|gcc|/usr/bin/gcc|gcc (Debian 12.2.0-14) 12.2.0|
kd|gcc|/usr/bin/gcc-12|gcc-12 (Debian 12.2.0-14) 12.2.0|
kd|gcc|/usr/bin/gcc-9|no compiler|
kd|clang|/usr/bin/clang-16|Debian clang version 16.0.6 (15~deb12u1)|/usr/lib/llvm-16/lib/clang/16
kd|clang|/usr/bin/clang-19|Debian clang version 19.1.7|/usr/lib/llvm-19/lib/clang/19
kd|tool|/usr/bin/llc-16
kd|tool|/usr/bin/llvm-strip-16
kd|lib|libelf.so.1
kd|lib|libc.so.6
kd|pahole|v1.24
kd|headers|abc
kd|end
"""


def test_compilers_are_read_with_what_they_say() -> None:
    facts = parse_facts(SAID, "v2")
    assert facts.libc == (2, 36)
    assert [(one.path, one.version) for one in facts.gccs] == [("/usr/bin/gcc-12", (12, 2))]
    assert facts.gccs[0].text == "gcc-12 (Debian 12.2.0-14) 12.2.0"
    assert facts.libraries == ("libc.so.6", "libelf.so.1")
    assert (facts.pahole, facts.headers) == ("v1.24", "abc")


def test_a_clang_without_its_llc_does_not_count() -> None:
    (llvm,) = parse_facts(SAID, "v2").llvms
    assert (llvm.clang.path, llvm.llc, llvm.mcpu) == ("/usr/bin/clang-16", "/usr/bin/llc-16", "v2")
    assert llvm.resources == "/usr/lib/llvm-16/lib/clang/16"


def test_gcc_of_red_hat_is_read() -> None:
    facts = parse_facts(
        "kd|libc|2.17\nkd|gcc|/usr/bin/gcc|gcc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44)|\nkd|end\n", "v2"
    )
    assert [(one.path, one.version) for one in facts.gccs] == [("/usr/bin/gcc", (4, 8))]


@pytest.mark.parametrize("said", [pytest.param("", id="nothing"), pytest.param(SAID[:200], id="cut")])
def test_an_image_that_did_not_come_to_its_end_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="did not come to the end"):
        parse_facts(said, "v2")


def test_facts_survive_their_file() -> None:
    facts = parse_facts(SAID, "v2")
    assert ImageFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
