"""Debian's control format and relations."""

from __future__ import annotations

import pytest

from kdriver.packages.deb822 import Relation, parse_relations, parse_stanza, split_stanzas


def test_folded_lines_belong_to_their_field() -> None:
    text = "# comment\nName: a\nSHA256:\n abc 1 x\n def 2 y\nLast: b:c\n"
    assert parse_stanza(text) == {"Name": "a", "SHA256": "\nabc 1 x\ndef 2 y", "Last": "b:c"}


@pytest.mark.parametrize("text", ["no colon", " folded first", "Two Words: x"])
def test_a_line_that_is_no_field_is_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match="field"):
        parse_stanza(text)


def test_stanzas_are_separated_by_blank_lines() -> None:
    assert list(split_stanzas("a: 1\r\n\r\n \nb: 2\n\n\n")) == ["a: 1", "b: 2"]


def test_relations_of_a_headers_package() -> None:
    depends = (
        "linux-headers-6.12.117+deb12-common (= 6.12.117-1~deb12u1), linux-image-x (= 1) | linux-image-x-unsigned,\n"
        "gcc-12:amd64 [amd64] <!cross>, python3:any (>= 3~)"
    )
    assert parse_relations(depends) == (
        (Relation("linux-headers-6.12.117+deb12-common", "=", "6.12.117-1~deb12u1"),),
        (Relation("linux-image-x", "=", "1"), Relation("linux-image-x-unsigned")),
        (Relation("gcc-12"),),
        (Relation("python3", ">=", "3~"),),
    )


def test_a_malformed_relation_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no relation"):
        parse_relations("linux-headers (6.1")
