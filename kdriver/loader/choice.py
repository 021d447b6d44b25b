"""Which driver this host gets, and why not the others. Pure: no file and no network is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome
from kdriver.loader.host import Host
from kdriver.repository.entries import DriverEntry, KernelEntry

DEFAULT_ORDER = (DriverKind.CORE, DriverKind.BPF, DriverKind.KMOD)
"""An eBPF driver is checked by the kernel before it runs and cannot crash it; CO-RE first, since it fits by design."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One kind that was considered."""

    kind: DriverKind
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome: the entry of the kernel that the driver comes from, the driver (None: none fits) and all attempts.

    refused_by_host: whether the host, and not the repository, rules out what is there."""

    kernel: KernelEntry
    driver: DriverEntry | None
    attempts: tuple[Attempt, ...]
    refused_by_host: bool = False

    def to_json(self) -> dict[str, Any]:
        """kernel: the entry's key. driver: null when none fits. attempts: in the order of trying."""
        return {
            "kernel": self.kernel.key,
            "driver": self.driver.to_json() if self.driver else None,
            "attempts": [
                {"kind": str(one.kind), "accepted": one.accepted, "reason": one.reason} for one in self.attempts
            ],
        }


def choose(
    host: Host, entry: KernelEntry, kinds: tuple[DriverKind, ...] = DEFAULT_ORDER, *, allow_unverified: bool = False
) -> Choice:
    """Take the first kind, in the order of `kinds`, of which the kernel has a driver that this host can load.

    entry: that of the host's exact kernel, or that of the CO-RE object for any kernel.
    """
    attempts: list[Attempt] = []
    refused_by_host = False
    for kind in kinds:
        of_kind = [one for one in entry.drivers if one.kind is kind]
        if not of_kind:
            attempts.append(Attempt(kind, False, "the repository has none for this kernel"))
            continue
        # Where the kernel demands signatures only signed files are left; elsewhere the unsigned ones come first.
        loadable = [one for one in of_kind if not _host_obstacle(host, one)]
        if not loadable:
            refused_by_host = True
            attempts.append(Attempt(kind, False, _host_obstacle(host, of_kind[0])))
            continue
        usable, mark = _usable(loadable, allow_unverified)
        attempts.append(Attempt(kind, usable is not None, mark))
        if usable is not None:
            return Choice(entry, usable, tuple(attempts))
    return Choice(entry, None, tuple(attempts), refused_by_host)


def _usable(of_kind: list[DriverEntry], allow_unverified: bool) -> tuple[DriverEntry | None, str]:
    """The newest driver that may be used; else None and what is wrong with the newest one."""
    for driver in of_kind:
        if driver.outcome is Outcome.PASSED:
            signed = ", signed," if driver.signed else ""
            return driver, f"version {driver.driver.version}{signed} passed its verification on this kernel"
        if driver.outcome is Outcome.NOT_VERIFIED and allow_unverified:
            return driver, f"version {driver.driver.version} is not verified ({driver.reason}); allowed"
    newest = of_kind[0]
    if newest.outcome is Outcome.FAILED:
        return None, newest.reason
    return None, f"not verified ({newest.reason}); --allow-unverified would take it"


def _host_obstacle(host: Host, driver: DriverEntry) -> str:
    """Why this host's kernel cannot load that driver; empty when nothing speaks against it."""
    if driver.kind is DriverKind.KMOD:
        return _module_obstacle(host, driver.signed)
    if host.lockdown == "confidentiality":
        return "the kernel is locked down for confidentiality: eBPF programs may not read its memory"
    if driver.kind is DriverKind.CORE and not host.btf:
        return "the kernel has no BTF (/sys/kernel/btf/vmlinux)"
    return ""


def _module_obstacle(host: Host, signed: bool) -> str:
    if host.has_modules is False:
        return "the kernel was built without loadable modules (there is no /proc/modules)"
    if not signed and host.lockdown not in ("", "none"):
        return f"the kernel is locked down ({host.lockdown}) and the module is not signed"
    if not signed and host.enforces_signatures:
        return "the kernel demands signed modules and this one is not signed"
    return ""
