"""The strace of this machine, with the libraries that it needs, for the guest's root file system."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from kdriver.core.errors import VerifyError

_LIBRARY = re.compile(r"(?:\S+ => )?(?P<path>/\S+) \(0x[0-9a-f]+\)")
GUEST_PROGRAM = "bin/strace"
StraceFiles = tuple[tuple[str, Path], ...]
"""(path in the guest without its leading slash, file here)."""


def find_strace() -> StraceFiles:
    """The program, its dynamic loader and its libraries. Raises VerifyError where there is no strace here."""
    program = shutil.which("strace")
    if program is None:
        raise VerifyError("strace: is not on this machine", hint="Install the package strace.")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, timeout=30)
    return ((GUEST_PROGRAM, Path(program)), *((path.lstrip("/"), Path(path)) for path in libraries_of(listed.stdout)))


def libraries_of(listing: str) -> tuple[str, ...]:
    """The files that ldd names; none for a static program."""
    return tuple(found["path"] for line in listing.splitlines() if (found := _LIBRARY.fullmatch(line.strip())))
