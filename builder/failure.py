"""Why a build failed: a class that a batch can be counted by, one line, and the log that tells the rest."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from kdriver.core.errors import BuildError


class Failure(StrEnum):
    """The classes of failure; a reason begins with its class."""

    DOWNLOAD = "download"
    INTEGRITY = "integrity"
    HEADERS = "headers"
    TOOLCHAIN = "toolchain"
    LIBC = "C library"
    PROBE = "compile probe"
    COMPILE = "compile"
    LINK = "link"
    SYMBOL = "symbol"
    CHECK = "check"
    WORKER = "worker"
    SYSTEM = "this machine"
    BUG = "bug in kdriver"


class StepError(BuildError):
    """One step of one build said no. log: what the step printed. detail: the lines of it that matter, for a person.
    status: of the command, where one was run and ended."""

    def __init__(
        self,
        failure: Failure,
        fact: str,
        *,
        hint: str | None = None,
        log: Path | None = None,
        detail: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(f"{failure}: {fact}", hint=hint)
        self.failure = failure
        self.log = log
        self.detail = detail
        self.status = status


_ERROR_LINE = re.compile(r"(^|[\s:])(fatal error|error|ERROR|undefined reference|multiple definition)\b")
_NOISE = re.compile(r"^(make(\[\d+\])?: |\$ )")
_UNKNOWN_SYMBOL = re.compile(r'(ERROR|WARNING): (modpost: )?"[^"]+" \[[^]]*\] undefined!')
_LINKER = re.compile(r"^(\S*/)?(\S+-)?(ld|strip)(\.\w+)?: |: undefined reference to |: multiple definition of ")


def class_of(log: str) -> Failure:
    """What kind of failure a command's output shows: a symbol that the kernel does not export (modpost says so), the
    linker's refusal, else the compiler's."""
    line = first_error(log)
    if _UNKNOWN_SYMBOL.search(line):
        return Failure.SYMBOL
    return Failure.LINK if _LINKER.search(line) else Failure.COMPILE


def first_error(log: str) -> str:
    """The first line of a build log that names an error, else its last line that says something, else empty.

    Lines of make itself only repeat that something went wrong before.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    meaningful = [line for line in lines if not _NOISE.match(line)]
    for line in meaningful:
        if _ERROR_LINE.search(line):
            return line
    return (meaningful or lines or [""])[-1]


def relevant_lines(log: str, count: int = 8) -> str:
    """Up to `count` lines of a build log from the first error on (the compiler's remarks on it follow)."""
    lines = log.splitlines()
    first = first_error(log)
    start = next((number for number, line in enumerate(lines) if line.strip() == first), max(0, len(lines) - count))
    return "\n".join(lines[start : start + count])
