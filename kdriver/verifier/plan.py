"""What one guest does: the plan that its first program reads, its time limits, and its root file system."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import IntegrityError
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.initramfs import Entry, character_device, folder, regular
from kdriver.verifier.strace import LEFT_OUT, NOT_TRACED
from kdriver.verifier.strace_files import StraceFiles

_HOST_MARGIN_S = 20.0
_GUEST_BTF = "/kernel.btf"
_GUEST_SHELL = "/bin/busybox"


class GuestTools(Protocol):
    """The static programs of the guest; builder.tools.Tools is one."""

    @property
    def capture(self) -> Path:
        """kd-capture."""

    @property
    def cases(self) -> Path:
        """kd-cases."""

    @property
    def cases32(self) -> Path:
        """kd-cases for i386, which the 64-bit one starts."""

    @property
    def guest_init(self) -> Path:
        """kd-guest, the guest's /init."""


@dataclass(frozen=True, slots=True)
class GuestCheck:
    """How a foreign driver is checked in the guest. words: the command line, empty where there is none. files: of the
    guest's /check."""

    words: tuple[str, ...]
    files: tuple[Path, ...] = ()

    @property
    def sha256(self) -> str:
        """Of all that the check is."""
        digest = hashlib.sha256("\0".join(self.words).encode())
        for file in self.files:
            digest.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class DriverUnderTest:
    """A driver file to be judged. name: the module's and device's (kmod), or anything for eBPF objects. check: of a
    foreign driver, which knows nothing of kdriver's events."""

    kind: DriverKind
    name: str
    path: Path
    sha256: str
    schema: str = ""
    check: GuestCheck | None = None

    @property
    def guest_path(self) -> str:
        """Where the guest finds it."""
        return f"/drivers/{self.path.name if self.check else self.kind.file_name}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a stage may take in an emulated guest; many times what it takes on an idle host.

    boot: until /init speaks. total: the whole guest.
    """

    boot_s: float = 120.0
    load_s: float = 60.0
    open_s: float = 90.0
    cases_s: float = 180.0
    flush_s: float = 30.0
    unload_s: float = 30.0
    total_s: float = 600.0

    def scaled(self, factor: float) -> Limits:
        """The same for a machine that is that much slower than an idle one."""
        return Limits(*(getattr(self, one.name) * factor for one in fields(self)))

    def of_stage(self, stage: str) -> float:
        """How long the host waits for the end of a stage; the guest's own limits strike first, with details."""
        inside = {
            "boot": self.boot_s - _HOST_MARGIN_S,
            "load": self.load_s,
            "open": self.open_s,
            "cases": self.cases_s,
            "check": self.cases_s,
            "flush": self.flush_s * 2,
            "asked": self.cases_s + self.flush_s * 3,
            "asked-flush": self.flush_s * 5,
            "switch": self.flush_s * 5,
            "ports": self.flush_s * 18,
            "call": self.flush_s * 4,
            "snaplen": self.flush_s * 3,
            "pressure": self.cases_s + self.flush_s,
            "strace": self.cases_s * 4 + self.flush_s,
            "cost": self.cases_s + self.flush_s * 4,
            "quit": self.unload_s,
            "overrun": self.open_s + self.flush_s * 3 + self.unload_s,
            "unload": self.unload_s + 5,
        }
        return inside.get(stage, self.unload_s) + _HOST_MARGIN_S


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """One boot. drivers are tried in this order, each from load to unload. modules: files inserted before.
    btf: type information for a kernel that has none of its own. only: patterns of the cases to run, all when empty.
    shell: a static busybox; the guest gives a prompt on its console then, and leaves the drivers alone.

    buffer_bytes: of each CPU, while every event is expected. small_buffer_bytes: of the consumer that is to lose
    events. pressure_rounds, overrun_calls: how many calls those trials make. cost_calls: of a batch, where the guest is
    to count what calls cost instead of running the cases; cost_batches: how many. strace: the files of
    strace, under which the cases are then run once more; empty for no such run. together: all drivers are loaded at
    once, and the cases run once while all of them watch.
    """

    kernel: GuestKernel
    drivers: tuple[DriverUnderTest, ...]
    modules: tuple[Path, ...] = ()
    btf: Path | None = None
    only: tuple[str, ...] = ()
    shell: Path | None = None
    limits: Limits = field(default_factory=Limits)
    buffer_bytes: int = 8 << 20
    small_buffer_bytes: int = 64 << 10
    pressure_rounds: int = 1000
    overrun_calls: int = 4000
    events_bytes_max: int = 6_000_000
    cost_calls: int = 0
    cost_batches: int = 0
    strace: StraceFiles = ()
    together: bool = False


def plan_text(plan: GuestPlan) -> str:
    """The file /plan as driver_src/guest/kd-guest.c reads it: one word, then its values, a line each."""
    limits = plan.limits
    numbers = {
        "limit_load_ms": limits.load_s * 1000,
        "limit_open_ms": limits.open_s * 1000,
        "limit_cases_ms": limits.cases_s * 1000,
        "limit_flush_ms": limits.flush_s * 1000,
        "limit_unload_ms": limits.unload_s * 1000,
        "buffer_bytes": plan.buffer_bytes,
        "small_buffer_bytes": plan.small_buffer_bytes,
        "pressure_rounds": plan.pressure_rounds,
        "overrun_calls": plan.overrun_calls,
        "events_bytes_max": plan.events_bytes_max,
        "cost_calls": plan.cost_calls,
        "cost_batches": plan.cost_batches,
        "strace": int(bool(plan.strace)),
        "together": int(plan.together),
    }
    lines = [f"set {name} {value:.0f}" for name, value in numbers.items()]
    lines += [f"module /modules/{module.name}" for module in plan.modules]
    lines += [f"btf {_GUEST_BTF}"] if plan.btf else []
    if plan.strace:
        lines.append(f"strace_calls trace=!{','.join(NOT_TRACED)}")
        lines += [f"strace_skip {pattern}" for pattern in LEFT_OUT]
    lines += [f"only {pattern}" for pattern in plan.only]
    lines += [f"shell {_GUEST_SHELL}"] if plan.shell else []
    for driver in plan.drivers:
        lines.append(f"driver {driver.kind} {driver.name or '-'} {driver.guest_path}")
        if driver.check is not None:
            lines += ["foreign", *(f"word {word}" for word in driver.check.words)]
    return "\n".join(lines) + "\n"


def guest_entries(plan: GuestPlan, tools: GuestTools) -> tuple[Entry, ...]:
    """The members of the guest's root file system. Raises OSError when a file cannot be read, IntegrityError when a
    driver is no longer the one that the verdict will name."""
    programs = (
        ("init", tools.guest_init),
        ("bin/kd-capture", tools.capture),
        ("bin/kd-cases", tools.cases),
        ("bin/kd-cases32", tools.cases32),
    )
    return (
        *(regular(path, program.read_bytes(), executable=True) for path, program in programs),
        *(regular(driver.guest_path.lstrip("/"), _checked(driver)) for driver in plan.drivers),
        *(regular(f"modules/{module.name}", module.read_bytes()) for module in plan.modules),
        *(
            regular(f"check/{file.name}", file.read_bytes(), executable=True)
            for file in dict.fromkeys(file for driver in plan.drivers if driver.check for file in driver.check.files)
        ),
        *(regular(path, file.read_bytes(), executable=True) for path, file in plan.strace),
        *([regular(_GUEST_BTF.lstrip("/"), plan.btf.read_bytes())] if plan.btf else []),
        *([regular(_GUEST_SHELL.lstrip("/"), plan.shell.read_bytes(), executable=True)] if plan.shell else []),
        regular("plan", plan_text(plan).encode()),
        # The kernel opens it as standard input and output of /init, before devtmpfs is mounted.
        character_device("dev/console", 5, 1),
        character_device("dev/null", 1, 3),
        *(folder(name) for name in ("proc", "sys", "tmp", "run")),
    )


def _checked(driver: DriverUnderTest) -> bytes:
    """The driver's bytes, as they go into the guest: a verdict on others than these would be worth nothing."""
    content = driver.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != driver.sha256:
        raise IntegrityError(f"{driver.path}: has changed since its record was read", hint="Verify it again.")
    return content
