"""The entries of one publication: changed in memory, each written once at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from kdriver.core.artifact import CORE_KERNEL
from kdriver.core.errors import IntegrityError
from kdriver.core.kernel import Kernel
from kdriver.core.verdict import Outcome
from kdriver.repository import layout
from kdriver.repository.entries import (
    DriverEntry,
    KernelEntry,
    KernelName,
    names_from_json,
    names_to_json,
    releases_from_json,
    releases_to_json,
)
from kdriver.repository.metadata import SignedMetadata

Parsed = TypeVar("Parsed")


class Draft:
    """Kernels and their drivers as they will be published. Drivers are added or replaced, never taken away."""

    def __init__(self, metadata: SignedMetadata) -> None:
        self._metadata = metadata
        self._changed: dict[str, KernelEntry] = {}

    def driver(self, key: str, like: DriverEntry) -> DriverEntry | None:
        """The driver of that kernel with the kind and version of `like`, signed as it is; None when there is none."""
        entry = self._entry(key)
        return find_driver(entry, like.kind, like.driver.version, like.signed) if entry else None

    def put(self, kernel: Kernel, driver: DriverEntry) -> None:
        """Put a driver in the place of the one with its kind and version."""
        fresh = KernelEntry(kernel.key, kernel.distro, kernel.arch, kernel.release, kernel.build)
        self._changed[kernel.key] = with_driver(self._entry(kernel.key) or fresh, driver)

    def offer_core(self, driver: DriverEntry, passed_on: str) -> None:
        """Offer a CO-RE object that passed somewhere to kernels that nobody verified, marked as such."""
        entry = self._entry(CORE_KERNEL) or KernelEntry(CORE_KERNEL, "", CORE_KERNEL.split("/")[1], "", "")
        known = find_driver(entry, driver.kind, driver.driver.version)
        if known is not None and (known.artifact, known.capture) == (driver.artifact, driver.capture):
            return
        reason = f"passed on {passed_on}; not tried on this kernel"
        offered = replace(driver, outcome=Outcome.NOT_VERIFIED, verdict="", reason=reason, aliases=())
        self._changed[CORE_KERNEL] = with_driver(entry, offered)

    def write(self) -> None:
        """Write the changed entries and the lists that lead to them."""
        kernels = [entry for entry in self._changed.values() if entry.key != CORE_KERNEL]
        for entry in self._changed.values():
            self._put(layout.kernel_target(entry.key), entry.to_json())
        for arch, release in sorted({(entry.arch, entry.release) for entry in kernels}):
            target = layout.release_target(arch, release)
            known = {one.key: one for one in self._read(target, releases_from_json) or ()}
            for entry in kernels:
                if (entry.arch, entry.release) == (arch, release):
                    known[entry.key] = KernelName(entry.key, entry.distro, entry.build)
            self._put(target, releases_to_json(release, tuple(known[key] for key in sorted(known))))
        for arch in sorted({entry.arch for entry in kernels}):
            target = layout.names_target(arch)
            keys = {*(self._read(target, names_from_json) or ()), *(one.key for one in kernels if one.arch == arch)}
            self._put(target, names_to_json(tuple(keys)))

    def _entry(self, key: str) -> KernelEntry | None:
        return self._changed.get(key) or read_entry(self._metadata, key)

    def _read(self, target: str, parse: Callable[[dict[str, Any]], Parsed]) -> Parsed | None:
        return _parsed(self._metadata.read_target(target), parse, target)

    def _put(self, target: str, value: dict[str, Any]) -> None:
        self._metadata.put_target(target, document(value))


def read_entry(metadata: SignedMetadata, key: str) -> KernelEntry | None:
    """A kernel's entry, None when the repository has none. Raises IntegrityError when it cannot be read."""
    return _parsed(metadata.read_target(layout.kernel_target(key)), KernelEntry.from_json, key)


def find_driver(entry: KernelEntry, kind: str, version: str, signed: bool = False) -> DriverEntry | None:
    """The entry's driver of a kind and version, signed or not, None when it has none."""
    wanted = (kind, version, signed)
    return next((one for one in entry.drivers if (one.kind, one.driver.version, one.signed) == wanted), None)


def with_driver(entry: KernelEntry, driver: DriverEntry) -> KernelEntry:
    """The entry with this driver in the place of the one with its kind and version that is signed, or not, as it is;
    newest version first, and of one version the unsigned file."""
    same = (driver.kind, driver.driver.version, driver.signed)
    others = [one for one in entry.drivers if (one.kind, one.driver.version, one.signed) != same]
    ordered = sorted(
        [*others, driver], key=lambda one: (_version_key(one.driver.version), one.kind, not one.signed), reverse=True
    )
    return replace(entry, drivers=tuple(ordered))


def document(value: dict[str, Any]) -> bytes:
    """A JSON document as it is published: the same bytes for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("+")[0].split("."))


def _parsed(content: bytes | None, parse: Callable[[dict[str, Any]], Parsed], name: str) -> Parsed | None:
    if content is None:
        return None
    try:
        return parse(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{name}: cannot be read: {error!r}", hint="Use a newer kdriver.") from error
