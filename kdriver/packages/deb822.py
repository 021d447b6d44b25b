"""Debian's control format (Policy 5.1, deb822(5)): stanzas of fields, and the relations in Depends (Policy 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Stanza = dict[str, str]
"""Field name as written to value; the lines of a folded or multi-line value are joined by newlines."""

_RELATION = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9+.-]*)(?::[a-z0-9-]+)?"
    r"\s*(?:\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?"
    r"\s*(?:\[[^]]*\])?\s*(?:<[^>]*>\s*)*$"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """One alternative of a dependency. operator: one of << <= = >= >>, empty where any version will do."""

    name: str
    operator: str = ""
    version: str = ""


def parse_stanza(text: str) -> Stanza:
    """One stanza. Comment lines are skipped; a line that is no field raises ValueError."""
    fields: Stanza = {}
    last = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t":
            if not last:
                raise ValueError(f"a continuation before any field: {line!r}")
            fields[last] += "\n" + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or " " in name:
            raise ValueError(f"no field: {line!r}")
        last = name
        fields[name] = value.strip()
    return fields


def split_stanzas(text: str) -> Iterator[str]:
    """The texts of the stanzas, which blank lines separate."""
    for block in re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n")):
        if block.strip():
            yield block.strip("\n")


def parse_relations(value: str) -> tuple[tuple[Relation, ...], ...]:
    """The value of Depends: every group must hold, of a group one alternative suffices. Raises ValueError."""
    groups = []
    for group in value.replace("\n", " ").split(","):
        if group.strip():
            groups.append(tuple(_relation(one) for one in group.split("|")))
    return tuple(groups)


def _relation(text: str) -> Relation:
    # One space for any number: where several optional parts are spaced, a pattern's cost grows with a power of them.
    match = _RELATION.match(" ".join(text.split()))
    if match is None:
        raise ValueError(f"no relation: {text.strip()!r}")
    operator = {"<": "<=", ">": ">="}.get(match["operator"] or "", match["operator"] or "")
    return Relation(match["name"], operator, match["version"] or "")
