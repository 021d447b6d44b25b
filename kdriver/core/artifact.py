"""An artifact: one built driver file with its facts, and the record that stands beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

CORE_KERNEL = "any/x86_64"
"""The kernel that a CO-RE artifact names: it serves every kernel of the architecture that has BTF."""


def twin_note(twin_of: str) -> str:
    """What people are told of a driver that was built from another kernel's headers; empty where it was not."""
    return f"built from the headers of {twin_of} of the same release" if twin_of else ""


class DriverKind(StrEnum):
    """The three drivers."""

    KMOD = "kmod"
    BPF = "bpf"
    CORE = "core"

    @property
    def file_name(self) -> str:
        """What the artifact's file is called."""
        return {"kmod": "kdriver.ko", "bpf": "kdriver.bpf.o", "core": "kdriver.core.o"}[self.value]


@dataclass(frozen=True, slots=True)
class DriverVersion:
    """The driver source's version, our own pair of interface versions, and the pair that libscap asks for.

    api, schema: ours (device controls and wire block; table of events). compat_api, compat_schema: libscap's.
    """

    version: str
    api: str
    schema: str
    compat_api: str
    compat_schema: str

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Input:
    """Something an artifact was built from: a package, the driver source, a compiler."""

    name: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return {"name": self.name, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One built driver file.

    kernel: the kernel's key, or CORE_KERNEL. sha256: of the file. content_key: of all that went into it.
    release: `uname -r` that the file is for (empty for a CO-RE object). vermagic: of a module, else empty.
    name: the driver's (module and device) name. seconds: wall time of the build. built_at: UTC, ISO 8601.
    twin_of: the key of the kernel whose headers stood in for this one's (Kernel.twin_of); empty for its own.
    file: what the file is called where that is not what kdriver's own driver of the kind is called.
    builder: who built it, a URI (kdriver/core/provenance.py). signer: of a signed module the SHA-256 of the
    certificate; unsigned: the SHA-256 of the file that it was before, which is what a verdict is about. serves: the key
    of the kernel that this copy is for, where it was built for another one that it is proved to fit as well. code_of:
    the key of the kernel that an eBPF object was compiled for, where only the release in it was changed since; seconds
    is how long that compiling took.
    """

    kernel: str
    release: str
    kind: DriverKind
    name: str
    sha256: str
    size_bytes: int
    driver: DriverVersion
    compiler: str
    flags: tuple[str, ...]
    inputs: tuple[Input, ...]
    content_key: str
    seconds: float
    built_at: str
    vermagic: str = ""
    twin_of: str = ""
    file: str = ""
    builder: str = ""
    signer: str = ""
    unsigned: str = ""
    serves: str = ""
    code_of: str = ""

    @property
    def judged(self) -> str:
        """The digest of the file that verdicts on this one are about: a signature changes nothing that runs."""
        return self.unsigned or self.sha256

    @property
    def file_name(self) -> str:
        """What the file is called beside its record."""
        return self.file or self.kind.file_name

    def to_json(self) -> dict[str, Any]:
        """The record that stands beside the file."""
        return {
            "kernel": self.kernel,
            "release": self.release,
            "kind": str(self.kind),
            "name": self.name,
            "file": self.file_name,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "driver": self.driver.to_json(),
            "compiler": self.compiler,
            "flags": list(self.flags),
            "inputs": [one.to_json() for one in self.inputs],
            "content_key": self.content_key,
            "seconds": round(self.seconds, 2),
            "built_at": self.built_at,
            "vermagic": self.vermagic,
            "twin_of": self.twin_of,
            "builder": self.builder,
            "signer": self.signer,
            "unsigned": self.unsigned,
            "serves": self.serves,
            "code_of": self.code_of,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Artifact:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        fields = dict(value)
        fields["kind"] = DriverKind(value["kind"])
        fields["file"] = "" if value.get("file") == fields["kind"].file_name else str(value.get("file", ""))
        if "/" in fields["file"]:
            raise ValueError(f"file {fields['file']!r} is no file name")
        fields["driver"] = DriverVersion(**value["driver"])
        fields["flags"] = tuple(value["flags"])
        fields["inputs"] = tuple(Input(**one) for one in value["inputs"])
        return cls(**fields)
