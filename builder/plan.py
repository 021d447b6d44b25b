"""What will be built: one plan for each kernel and kind, made without looking at the network or the disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from builder.headers import header_packages
from builder.known_bad import KnownBad, Ruling
from builder.source import DriverSource
from kdriver.core.artifact import CORE_KERNEL, DriverKind
from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel, Package

ARCHITECTURES = ("x86_64",)
"""The architectures that the drivers are written for."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """One driver to be built. name: of the module and its devices. skip: why it will not be built, empty when it
    will. line: the line of the table of known bad kernels that says so. shares: it is served by the CO-RE object that
    an earlier plan of the batch builds."""

    kernel: Kernel
    kind: DriverKind
    name: str
    skip: str = ""
    shares: bool = False
    line: str = ""

    @property
    def built_for(self) -> str:
        """What the artifact's record names as its kernel."""
        return CORE_KERNEL if self.kind is DriverKind.CORE else self.kernel.key

    @property
    def twin_of(self) -> str:
        """The key of the kernel whose headers stand in for this one's; empty for its own, and for a CO-RE object."""
        return "" if self.kind is DriverKind.CORE else self.kernel.twin_of

    @property
    def packages(self) -> tuple[Package, ...]:
        """The packages that the build needs; none for a CO-RE object."""
        return () if self.kind is DriverKind.CORE or self.skip else header_packages(self.kernel)

    def to_json(self) -> dict[str, Any]:
        """What --dry-run prints."""
        action = "skip" if self.skip else "share" if self.shares else "build"
        return {
            "kernel": self.kernel.key,
            "kind": str(self.kind),
            "action": action,
            "reason": self.skip,
            "line": self.line,
            "twin_of": self.twin_of,
            "compiler": self.kernel.compiler if self.kind is DriverKind.KMOD else "clang",
            "packages": [package.file_name for package in self.packages],
            "size_bytes": sum(package.size_bytes for package in self.packages),
        }


def plan_builds(
    kernels: Iterable[Kernel],
    kinds: Iterable[DriverKind],
    source: DriverSource,
    *,
    name: str | None = None,
    known_bad: KnownBad | None = None,
    lacking: Mapping[DriverKind, str] | None = None,
) -> tuple[BuildPlan, ...]:
    """One plan for each kernel and kind, in the order of the kernels, then of DriverKind. What cannot be built is
    planned with the reason why. name: of the module and its devices; the source has one, too. known_bad: the table of
    what cannot work on which kernels. lacking: kinds that cannot work on any of these kernels, with the reason.
    Raises ConfigError for a name that no module can have."""
    name = source.name if name is None else name
    if source.foreign is None and not _NAME.fullmatch(name):
        raise ConfigError(
            f"name {name!r}: a module's name is a lower-case letter, then letters, digits and underscores, 31 at most",
            hint="Choose a name such as kdriver_test.",
        )
    wanted = set(kinds)
    plans: list[BuildPlan] = []
    core_planned = False
    for kernel in kernels:
        for kind in DriverKind:
            if kind in wanted:
                skip = _reason_to_skip(kernel, kind, source) or (lacking or {}).get(kind, "")
                ruling = known_bad.ruling(kernel, kind) if known_bad and not skip else Ruling()
                skip = skip or ruling.reason
                shares = kind is DriverKind.CORE and not skip and core_planned
                core_planned = core_planned or (kind is DriverKind.CORE and not skip)
                plans.append(BuildPlan(kernel, kind, name, skip, shares, ruling.line))
    return tuple(plans)


def _reason_to_skip(kernel: Kernel, kind: DriverKind, source: DriverSource) -> str:
    if kernel.arch not in ARCHITECTURES:
        return f"no driver for {kernel.arch} yet"
    if kind not in source.kinds:
        return f"the driver source has no {kind} driver"
    if kind is not DriverKind.CORE and not header_packages(kernel):
        return "the index knows no header packages of this kernel"
    return ""
