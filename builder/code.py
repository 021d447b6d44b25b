"""eBPF code of one kernel that serves another: proved by what the compiler's front end makes of both.

clang's front end alone takes a tenth of the time of a whole build: it writes LLVM code before any optimisation, in
which every macro, inline function and layout of the headers that the probe uses has become code. Where that code is the
same for two kernels, so is everything that the optimiser and llc would make of it; only the release that an object
carries differs, and that stands in a section of its own. What is not compared changes nothing that runs: where in the
headers a piece of assembly stands (!srcloc), and the numbers that structures without a name get.

The object's type table (.BTF) is made of debugging information, which is not compared. An object is offered to others
only when its table holds no structure but the driver's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from builder.keep import touch
from builder.store import Stored, find_stored
from kdriver.core.errors import IntegrityError
from kdriver.inspect.btf import BtfKind, parse_btf
from kdriver.inspect.elf import read_object

_LAYOUT = "1"
_NAMES = re.compile(
    r"^(?:; ModuleID = |source_filename = |!llvm\.ident = ).*\n|!\"[^\"]*\bclang version [^\"]*\"", re.M
)
_ANONYMOUS = re.compile(r"%(struct|union)\.anon(?:\.\d+)?(?![\w.])")
_PLACE = re.compile(r"!srcloc (!\d+)\b")
_NODE = re.compile(r"^(!\d+) = .*$", re.M)
_NUMBER = re.compile(r"!\d+\b")
_TYPES = (BtfKind.STRUCT, BtfKind.UNION, BtfKind.ENUM, BtfKind.FWD)
_OWN = "kd_"


def normal_form(text: str) -> str:
    """LLVM code without debugging information as text that is the same when nothing but names of no meaning differs.

    Structures without a name are numbered as they come; the list of types is in the order of their use.
    """
    text = _NAMES.sub("", text)
    places = set(_PLACE.findall(text))
    others = set(_NUMBER.findall(_NODE.sub(lambda node: node[0].partition(" = ")[2], _PLACE.sub("", text))))
    places -= others
    text = _NODE.sub(lambda node: f"{node[1]} = place" if node[1] in places else node[0], text)
    numbers: dict[str, int] = {}
    return _ANONYMOUS.sub(lambda name: f"%{name[1]}.anon.{numbers.setdefault(name[0], len(numbers))}", text)


def stands_apart(text: str, release: str) -> bool:
    """Whether a text is nothing but the content of one variable that no code reads."""
    lines = [line for line in text.splitlines() if release in line]
    if not lines:
        return True
    found = re.match(r"@([\w.$-]+) = ", lines[0])
    if len(lines) > 1 or lines[0].count(release) > 1 or not found:
        return False
    uses = re.compile(rf"@{re.escape(found[1])}(?![\w.$-])")
    others = [line for line in text.splitlines() if uses.search(line) and line is not lines[0]]
    known = ("@llvm.used = ", "@llvm.compiler.used = ")
    return all(line.startswith((*known, lines[0].partition(" = ")[0])) for line in others)


def has_own_types_only(path: Path) -> bool:
    """Whether an object's type table holds no structure of the kernel, whose layout could be another elsewhere."""
    try:
        types = parse_btf(read_object(path).sections.get(".BTF", b"")).types
    except IntegrityError:
        return False
    foreign = [one for one in types if one.name and not one.name.startswith(_OWN)]
    named = {one.size_or_type for one in foreign if one.kind is BtfKind.TYPEDEF}
    return not any(one.kind in _TYPES for one in foreign) and not any(
        one.kind in _TYPES for one in types if one.type_id in named
    )


def code_digest(text: str, *parts: str) -> str:
    """What names code: the front end's, and all else that decides what becomes of it (parts)."""
    return hashlib.sha256("\0".join([_LAYOUT, *parts, normal_form(text)]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Twin:
    """An object whose code is the one that is wanted. seconds: how long it took to build."""

    stored: Stored
    kernel: str

    @property
    def seconds(self) -> float:
        """How long the build took that need not be done again."""
        return self.stored.record.seconds


@dataclass(slots=True)
class Codes:
    """The code that a batch's objects are made of; may be used from several threads. It is kept in `code` of the cache
    as which artifact of the store has it."""

    _made: set[str] = field(default_factory=set)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def held(self, digest: str) -> Iterator[None]:
        """Wait for whoever builds the same code now."""
        with self._lock:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:
            yield

    def find(self, cache: Path, digest: str, *, force: bool) -> Twin | None:
        """The object with that code; None when there is none. force: only of those that this batch built."""
        if force and digest not in self._made:
            return None
        kept = cache / "code" / f"{digest}.json"
        try:
            stored = find_stored(cache / "artifacts", str(json.loads(kept.read_text())["content_key"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if stored is None:
            return None
        touch(kept)
        return Twin(stored, stored.record.kernel)

    def keep(self, cache: Path, digest: str, stored: Stored) -> None:
        """Offer an object, which passed every check, to other kernels."""
        if not has_own_types_only(stored.path):
            return
        kept = cache / "code" / f"{digest}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(prefix=f".{digest}.", dir=kept.parent)
        with os.fdopen(handle, "w") as out:
            out.write(json.dumps({"kernel": stored.record.kernel, "content_key": stored.record.content_key}) + "\n")
        Path(fresh).replace(kept)
        with self._lock:
            self._made.add(digest)
