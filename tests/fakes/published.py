"""Repositories made by the real publisher from drivers that no compiler made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from kdriver.core.artifact import CORE_KERNEL, Artifact, DriverKind, DriverVersion
from kdriver.core.kernel import Kernel
from kdriver.core.verdict import POLICY as VERDICT_POLICY
from kdriver.core.verdict import Outcome, Verdict
from kdriver.repository import metadata
from kdriver.repository.gather import Candidate
from kdriver.repository.keys import Keys, Policy, make_keys
from kdriver.repository.publish import PublishStep, publish
from kdriver.repository.store import FolderStore

from .module_file import module_file

POLICY = Policy(bin_bits=4)
VERSION = DriverVersion("0.1.0", "1.0.0", "1.0.0", "10.1.0", "4.5.1")


def kernel(release: str = "6.1.0-56-amd64", build: str = "6.1.192-2", distro: str = "debian") -> Kernel:
    """A kernel of the index, without packages."""
    return Kernel(distro, f"{distro}12", release, build, build, "x86_64", "amd64", ())


def content(kind: DriverKind, salt: str = "") -> bytes:
    """A driver file: a module is an ELF file, an object is any bytes."""
    if kind is DriverKind.KMOD:
        return module_file(srcversion=f"SOURCE{salt}", build_id=hashlib.sha1(salt.encode()).digest())
    return f"an object of kind {kind} {salt}\n".encode()


def candidate(
    folder: Path,
    of: Kernel | None = None,
    kind: DriverKind = DriverKind.KMOD,
    *,
    outcome: Outcome | None = Outcome.PASSED,
    salt: str = "",
    version: str = "0.1.0",
    driver: bytes | None = None,
) -> Candidate:
    """A built driver with its verdict (outcome None: without one); its file is written to `folder`."""
    of = of or kernel()
    driver = content(kind, salt) if driver is None else driver
    digest = hashlib.sha256(driver).hexdigest()
    path = folder / "built" / digest / kind.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(driver)
    artifact = Artifact(
        kernel=CORE_KERNEL if kind is DriverKind.CORE else of.key,
        release="" if kind is DriverKind.CORE else of.release,
        kind=kind,
        name="kdriver",
        sha256=digest,
        size_bytes=len(driver),
        driver=replace(VERSION, version=version),
        compiler="gcc-12 12.2.0",
        flags=(),
        inputs=(),
        content_key=f"key-{digest[:8]}",
        seconds=1.0,
        built_at="2026-11-22T10:00:00+00:00",
    )
    verdict = None
    if outcome is not None:
        reason = "all right" if outcome is Outcome.PASSED else "openat: fd: expected 3, got 4"
        date = "2026-11-22T10:01:00+00:00"
        verdict = Verdict(of.key, str(kind), digest, outcome, reason, 3.0, date, events=41, policy=VERDICT_POLICY)
    return Candidate(of, artifact, path, verdict)


@dataclass
class Published:
    """A repository with its keys."""

    folder: Path
    keys: Keys = field(init=False)
    store: FolderStore = field(init=False)

    def __post_init__(self) -> None:
        self.keys = make_keys(self.folder / "keys", POLICY)
        self.store = FolderStore(self.folder / "repository")
        metadata.create(self.store, self.keys)
        self.capture = self.folder / "kd-capture"
        self.capture.write_text("#!/bin/sh\nexit 0\n")

    @property
    def url(self) -> str:
        """Its folder, as `--repo` takes it."""
        return str(self.store.root)

    @property
    def root(self) -> bytes:
        """The root metadata that hosts trust."""
        return (self.store.root / "metadata/1.root.json").read_bytes()

    def publish(self, *candidates: Candidate, now: datetime | None = None, **options: bool) -> tuple[PublishStep, ...]:
        """Publish with the capture tool."""
        moment = now or datetime.now(UTC)
        return publish(self.store, self.keys, candidates, capture=self.capture, now=moment, **options)
