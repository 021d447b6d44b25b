"""Driver files in a folder, each with its record beside it, and which of them are for a kernel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.artifact import CORE_KERNEL, Artifact, DriverKind
from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.verifier.plan import DriverUnderTest

_SUFFIXES = (".ko", ".o")
_HINT = "Name the folder that `kdriver build --out DIR` wrote."


@dataclass(frozen=True, slots=True)
class FoundArtifact:
    """A driver file and its record."""

    path: Path
    record: Artifact


def find_artifacts(folder: Path) -> tuple[FoundArtifact, ...]:
    """All driver files below a folder that have a record (`<file>.json` beside it, or `record.json` in its folder).

    Sorted by path. Raises NotFoundError when there is none, IntegrityError when a file is not what its record says.
    """
    found = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.suffix not in _SUFFIXES:
            continue
        records = [path.with_name(path.name + ".json"), path.with_name("record.json")]
        record = next((one for one in records if one.is_file()), None)
        if record is not None:
            found.append(_read(path, record))
    if not found:
        raise NotFoundError(f"{folder}: holds no driver with its record", hint=_HINT)
    return tuple(found)


def _read(path: Path, record: Path) -> FoundArtifact:
    try:
        artifact = Artifact.from_json(json.loads(record.read_text()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{record}: is no record of a driver ({error!r})", hint=_HINT) from error
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != artifact.sha256:
        raise IntegrityError(
            f"{path}: its SHA-256 is {sha256}, its record says {artifact.sha256}", hint="Build the driver again."
        )
    return FoundArtifact(path, artifact)


def under_test(found: FoundArtifact) -> DriverUnderTest:
    """The driver as a guest gets it."""
    record = found.record
    return DriverUnderTest(record.kind, record.name, found.path, record.sha256, record.driver.schema)


def artifacts_for(
    found: Iterable[FoundArtifact], kinds: Sequence[DriverKind], *, kernel: str, release: str
) -> tuple[tuple[DriverUnderTest, ...], tuple[tuple[DriverKind, str], ...]]:
    """The drivers for a kernel, in the order of the kinds, and the kinds that have none, with the reason.

    kernel: its key, or empty to go by the release alone; several different drivers of that release raise ConfigError
    then. A CO-RE object serves every kernel. A module and its signed file are one driver: the module counts, for the
    verdict is about what both have in common.
    """
    known = list(found)
    drivers = []
    missing = []
    for kind in kinds:
        fitting = [one for one in known if one.record.kind is kind and _fits(one.record, kernel, release)]
        if len({one.record.judged for one in fitting}) > 1 and not kernel:
            raise ConfigError(
                f"{fitting[0].path.parent.parent}: several {kind} drivers for {release} are in the folder",
                hint="Name the folder of one of them with --artifacts.",
            )
        if fitting:
            drivers.append(under_test(min(fitting, key=lambda one: bool(one.record.signer))))
        else:
            missing.append((kind, f"no {kind} driver for {kernel or release} is in the folder"))
    return tuple(drivers), tuple(missing)


def _fits(record: Artifact, kernel: str, release: str) -> bool:
    if record.kind is DriverKind.CORE:
        return record.kernel == CORE_KERNEL
    if record.serves:
        return record.serves == kernel if kernel else record.serves.split("/")[2] == release
    return record.kernel == kernel if kernel else record.release == release
