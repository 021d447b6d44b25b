"""The running kernel's modules: insert, remove, look at one. The only place that asks the kernel for it."""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kdriver.core.errors import LoadError

_FINIT_MODULE = {"x86_64": 313, "aarch64": 273}
_DELETE_MODULE = {"x86_64": 176, "aarch64": 106}
_KLOG_READ_ALL = 3
_KLOG_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A module as /sys/module shows it. build_id: the raw note, empty where the kernel does not show it."""

    name: str
    refcount: int
    version: str
    srcversion: str
    build_id: bytes
    parameters: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """A flat object but for `parameters`; build_id as hex."""
        return {
            "name": self.name,
            "refcount": self.refcount,
            "version": self.version,
            "srcversion": self.srcversion,
            "build_id": self.build_id.hex(),
            "parameters": dict(self.parameters),
        }


class KernelModules(Protocol):
    """What the loader asks of a kernel."""

    def insert(self, path: Path, parameters: str) -> None:
        """Load a module file. Raises OSError with the kernel's errno."""

    def remove(self, name: str) -> None:
        """Unload a module. Raises OSError with the kernel's errno."""

    def loaded(self, name: str) -> LoadedModule | None:
        """The module of that name; None when it is not loaded."""

    def log_lines(self, about: str) -> tuple[str, ...]:
        """The newest lines of the kernel's log that mention a text; empty where the log may not be read."""


class LinuxModules:
    """This kernel. Sources: finit_module(2), delete_module(2), syslog(2), Documentation/ABI/stable/sysfs-module."""

    def __init__(self, sys_module: Path = Path("/sys/module")) -> None:
        self._sys_module = sys_module

    def insert(self, path: Path, parameters: str) -> None:
        """Load a module file. Raises OSError with the kernel's errno."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _system_call(_number(_FINIT_MODULE), handle, parameters.encode() + b"\0", 0)
        finally:
            os.close(handle)

    def remove(self, name: str) -> None:
        """Unload a module that nobody uses; never waits. Raises OSError with the kernel's errno."""
        _system_call(_number(_DELETE_MODULE), name.encode() + b"\0", os.O_NONBLOCK)

    def loaded(self, name: str) -> LoadedModule | None:
        """The module of that name; None when it is not loaded."""
        folder = self._sys_module / name
        # A driver that is built in has a folder without initstate.
        if not (folder / "initstate").is_file():
            return None
        parameters = folder / "parameters"
        names = sorted(path.name for path in parameters.iterdir()) if parameters.is_dir() else []
        return LoadedModule(
            name=name,
            refcount=int(_line(folder / "refcnt") or 0),
            version=_line(folder / "version"),
            srcversion=_line(folder / "srcversion"),
            build_id=_bytes(folder / "notes/.note.gnu.build-id"),
            parameters=tuple((one, _line(parameters / one)) for one in names),
        )

    def log_lines(self, about: str) -> tuple[str, ...]:
        """The newest lines of the kernel's log that mention a text; empty where the log may not be read."""
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(_KLOG_BYTES)
        size = libc.klogctl(_KLOG_READ_ALL, buffer, _KLOG_BYTES)
        if size <= 0:
            return ()
        lines = buffer.raw[:size].decode(errors="replace").splitlines()
        return tuple(line.split("] ", 1)[-1] for line in lines if about in line)[-4:]


def explain_insert(error: OSError, name: str, log: tuple[str, ...]) -> LoadError:
    """Why the kernel refused a module, as far as its errno and its log tell. Source: kernel/module/main.c."""
    said = f"; the kernel says: {log[-1]}" if log else ""
    reasons = {
        errno.EPERM: (
            "this process may not load modules",
            "Run as root outside of a container; check kernel.modules_disabled and the kernel's lockdown.",
        ),
        errno.EACCES: ("a security policy (SELinux?) forbids it", "Look for a denial in the audit log and allow it."),
        errno.ENOEXEC: (
            "the module does not fit this kernel",
            "Use the driver that was built for this very kernel build; see `kdriver load --explain`.",
        ),
        errno.EKEYREJECTED: (
            "the kernel demands a signature by a key that it trusts",
            "Enroll the key that signs your drivers (mokutil), or use --kind core.",
        ),
        errno.ENOKEY: (
            "it is signed by a key that the kernel does not know",
            "Enroll the key that signs your drivers (mokutil), or use --kind core.",
        ),
        errno.EBADMSG: ("its signature is damaged", "Fetch it again."),
        errno.ENOENT: ("it needs a symbol that this kernel does not have", "Use a driver for this very kernel build."),
        errno.EINVAL: ("a parameter or the module is invalid", "Check the values of --param."),
        errno.EBUSY: ("another module holds what it needs", "Unload the other driver first."),
        errno.EEXIST: ("a module of that name is loaded already", "Run `kdriver unload` first."),
        errno.ENOMEM: ("the kernel is out of memory for it", "Make memory free, or use smaller buffers with --param."),
        errno.ENOSYS: ("this kernel has no loadable modules", "Use --kind core or --kind bpf."),
    }
    code = error.errno or 0
    reason, hint = reasons.get(code, (os.strerror(code), "See the kernel's log."))
    label = errno.errorcode.get(code, str(code))
    return LoadError(f"{name}: the kernel refused the module: {reason} ({label}){said}", hint=hint)


def explain_remove(error: OSError, module: LoadedModule) -> LoadError:
    """Why the kernel kept a module."""
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return LoadError(
            f"{module.name}: is in use ({module.refcount} references) and stays loaded",
            hint="Stop what reads its devices (see `fuser /dev/kdriver*`), then try again.",
        )
    if error.errno == errno.EPERM:
        return LoadError(
            f"{module.name}: this process may not unload modules", hint="Run as root outside of a container."
        )
    return LoadError(f"{module.name}: cannot be unloaded: {error.strerror}", hint="See the kernel's log.")


def _number(table: dict[str, int]) -> int:
    machine = os.uname().machine
    if machine not in table:
        raise LoadError(f"{machine}: loading modules is not supported here", hint="Use x86_64 or aarch64.")
    return table[machine]


def _system_call(number: int, *arguments: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_long(one) for one in arguments]
    if libc.syscall(ctypes.c_long(number), *converted) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _line(path: Path) -> str:
    return _bytes(path).decode(errors="replace").strip()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
