"""What a repository says of a kernel: its drivers, each with its versions and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdriver.core.artifact import DriverKind, DriverVersion
from kdriver.core.verdict import Outcome
from kdriver.repository import layout

FORMAT = 1
"""Of all JSON targets. A loader refuses a higher one: it would not know what it reads."""


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """One driver of one kernel.

    artifact, record, provenance, verdict, capture: SHA-256 of the driver file, of its record, of its signed
    provenance (empty: published before there was any), of the verdict's record (empty: there is none) and of the
    capture tool that understands it (empty: none was published). signed: whether the module carries a signature.
    aliases: its addresses in Falco's naming. published_at: UTC, ISO 8601. twin_of: the key of the kernel whose headers
    it was built from, where those are not this kernel's own.
    """

    kind: DriverKind
    artifact: str
    size_bytes: int
    name: str
    driver: DriverVersion
    compiler: str
    vermagic: str
    signed: bool
    outcome: Outcome
    reason: str
    verdict: str
    record: str
    capture: str
    aliases: tuple[str, ...]
    published_at: str
    twin_of: str = ""
    provenance: str = ""

    @property
    def target(self) -> str:
        """The driver file's target."""
        return layout.artifact_target(self.artifact, self.kind.file_name)

    def to_json(self) -> dict[str, Any]:
        """A flat object but for `driver` and `aliases`; keys are this class's fields."""
        return {
            "kind": str(self.kind),
            "artifact": self.artifact,
            "size_bytes": self.size_bytes,
            "name": self.name,
            "driver": self.driver.to_json(),
            "compiler": self.compiler,
            "vermagic": self.vermagic,
            "signed": self.signed,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "verdict": self.verdict,
            "record": self.record,
            "capture": self.capture,
            "aliases": list(self.aliases),
            "published_at": self.published_at,
            "twin_of": self.twin_of,
            "provenance": self.provenance,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> DriverEntry:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        fields = dict(value)
        fields["kind"] = DriverKind(value["kind"])
        fields["driver"] = DriverVersion(**value["driver"])
        fields["outcome"] = Outcome(value["outcome"])
        fields["aliases"] = tuple(value["aliases"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class KernelEntry:
    """A kernel and its drivers, the newest driver version first. The entry of the CO-RE object that serves any
    kernel has the key `any/x86_64` and no distro, release and build."""

    key: str
    distro: str
    arch: str
    release: str
    build: str
    drivers: tuple[DriverEntry, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document at `kernels/<key>.json`."""
        return {
            "format": FORMAT,
            "key": self.key,
            "distro": self.distro,
            "arch": self.arch,
            "release": self.release,
            "build": self.build,
            "drivers": [one.to_json() for one in self.drivers],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> KernelEntry:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape or format."""
        _check_format(value)
        return cls(
            key=value["key"],
            distro=value["distro"],
            arch=value["arch"],
            release=value["release"],
            build=value["build"],
            drivers=tuple(DriverEntry.from_json(one) for one in value["drivers"]),
        )


@dataclass(frozen=True, slots=True)
class KernelName:
    """A kernel without its drivers, as `releases/<arch>/<uname -r>.json` lists it."""

    key: str
    distro: str
    build: str


def releases_to_json(release: str, names: tuple[KernelName, ...]) -> dict[str, Any]:
    """The document at `releases/<arch>/<uname -r>.json`."""
    kernels = [{"key": one.key, "distro": one.distro, "build": one.build} for one in names]
    return {"format": FORMAT, "release": release, "kernels": kernels}


def releases_from_json(value: dict[str, Any]) -> tuple[KernelName, ...]:
    """The inverse of releases_to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
    _check_format(value)
    return tuple(KernelName(**one) for one in value["kernels"])


def names_to_json(keys: tuple[str, ...]) -> dict[str, Any]:
    """The document at `names/<arch>.json`."""
    return {"format": FORMAT, "keys": sorted(keys)}


def names_from_json(value: dict[str, Any]) -> tuple[str, ...]:
    """The inverse of names_to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
    _check_format(value)
    return tuple(str(key) for key in value["keys"])


def _check_format(value: dict[str, Any]) -> None:
    if value["format"] != FORMAT:
        raise ValueError(f"format {value['format']}; this kdriver reads format {FORMAT}")
