"""A kernel's modules without a kernel: takes files, refuses them when told to, remembers what it was asked."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kdriver.inspect.elf import read_module, read_section
from kdriver.loader.modules import LoadedModule


class FakeModules:
    """Implements kdriver.loader.modules.KernelModules.

    refuse: what the next insertions fail with, in order, 0 for one that works. in_use: names that stay."""

    def __init__(self, name: str = "kdriver") -> None:
        self.name = name
        self.present: dict[str, LoadedModule] = {}
        self.refuse: list[int] = []
        self.in_use: set[str] = set()
        self.log: tuple[str, ...] = ()
        self.calls: list[str] = []

    def insert(self, path: Path, parameters: str) -> None:
        """Load a module file. Raises OSError with the kernel's errno."""
        self.calls.append(f"insert {path.parent.name[:8]} {parameters}".strip())
        if self.refuse:
            code = self.refuse.pop(0)
            if code:
                raise OSError(code, os.strerror(code))
        if self.name in self.present:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        facts = read_module(path)
        self.present[self.name] = LoadedModule(
            name=self.name,
            refcount=0,
            version=facts.value("version"),
            srcversion=facts.value("srcversion"),
            build_id=read_section(path, ".note.gnu.build-id"),
            parameters=tuple(tuple(one.split("=", 1)) for one in parameters.split()),  # type: ignore[misc]
        )

    def remove(self, name: str) -> None:
        """Unload a module. Raises OSError with the kernel's errno."""
        self.calls.append(f"remove {name}")
        if name in self.in_use:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        del self.present[name]

    def loaded(self, name: str) -> LoadedModule | None:
        """The module of that name; None when it is not loaded."""
        return self.present.get(name)

    def log_lines(self, about: str) -> tuple[str, ...]:
        """The kernel's log, as set."""
        return tuple(line for line in self.log if about in line)
