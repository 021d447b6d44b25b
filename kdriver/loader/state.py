"""What the loader remembers between runs: trusted roots, the installed driver and its file."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, KdriverError

DEFAULT_STATE = "/var/lib/kdriver"


@dataclass(frozen=True, slots=True)
class Installed:
    """The driver that this loader put in place.

    artifact: SHA-256 of its file. path, capture: the driver's file and the capture tool's (empty: none). boot_id: of
    the boot in which a module was loaded. entry: the driver's entry as published. expires: when the repository's
    signature, as seen then, ends to hold. at: UTC, ISO 8601.
    """

    kind: DriverKind
    name: str
    artifact: str
    path: str
    capture: str
    kernel: str
    repo: str
    boot_id: str
    outcome: str
    parameters: str
    expires: str
    at: str
    entry: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A flat object but for `entry`; keys are this class's fields."""
        return {**asdict(self), "kind": str(self.kind)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Installed:
        """The inverse of to_json. Raises KeyError, TypeError or ValueError on a document of another shape."""
        return cls(**{**value, "kind": DriverKind(value["kind"])})


class State:
    """The loader's folder: `trust/<repository>/`, `drivers/<sha256>/`, `installed.json`. One loader at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def drivers(self) -> Path:
        """Where driver files lie, each in a folder named by its digest."""
        return self.folder / "drivers"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder. Raises ConfigError when it cannot be written, KdriverError when another loader holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"{self.folder}: cannot be written: {error.strerror}",
                hint="Run as root, or name another folder in the environment variable KDRIVER_STATE.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise KdriverError(f"{self.folder}: another loader is at work", hint="Wait until it has ended.") from None
        try:
            yield
        finally:
            os.close(handle)

    def installed(self) -> Installed | None:
        """The installed driver, None when there is none. Raises ConfigError when the record cannot be read."""
        path = self.folder / "installed.json"
        try:
            return Installed.from_json(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise ConfigError(f"{path}: {error.strerror}", hint="Run as root.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: is no record of a driver: {error!r}", hint="Delete it and load again."
            ) from error

    def record(self, installed: Installed) -> None:
        """Remember the driver, and forget the files of every other one."""
        replace_file(self.folder / "installed.json", json.dumps(installed.to_json(), indent=1).encode())
        for folder in self.drivers.iterdir() if self.drivers.is_dir() else ():
            if folder.name != installed.artifact:
                shutil.rmtree(folder, ignore_errors=True)

    def forget(self) -> None:
        """Remove the record and every driver file. What the host trusts stays."""
        (self.folder / "installed.json").unlink(missing_ok=True)
        shutil.rmtree(self.drivers, ignore_errors=True)


def state_from_environment() -> State:
    """The folder that KDRIVER_STATE names, else /var/lib/kdriver."""
    return State(Path(os.environ.get("KDRIVER_STATE") or DEFAULT_STATE).absolute())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, or replace it at once."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def boot_id() -> str:
    """This boot's id; empty where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
