"""What is loaded on this host, and how fresh its repository is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kdriver.core.artifact import DriverKind
from kdriver.loader.modules import KernelModules, LoadedModule
from kdriver.loader.state import Installed, State


@dataclass(frozen=True, slots=True)
class Status:
    """installed: what this loader put in place (None: nothing). module: what the kernel shows (None: not loaded).
    stale: whether the repository's signature, as seen when the driver was loaded, has ended."""

    installed: Installed | None
    module: LoadedModule | None
    stale: bool

    @property
    def in_place(self) -> bool:
        """Whether a driver is ready for use: a module is loaded, or an eBPF object is installed."""
        if self.module is not None:
            return True
        return self.installed is not None and self.installed.kind is not DriverKind.KMOD

    def to_json(self) -> dict[str, Any]:
        """The document that `kdriver status --json` prints. drops: null, as only a running consumer counts them."""
        installed = self.installed
        return {
            "in_place": self.in_place,
            "kind": str(installed.kind) if installed else ("kmod" if self.module else None),
            "module": self.module.to_json() if self.module else None,
            "installed": installed.to_json() if installed else None,
            "drops": None,
            "repository": {"url": installed.repo, "expires": installed.expires, "stale": self.stale}
            if installed
            else None,
        }


def read_status(state: State, modules: KernelModules, default_name: str, now: datetime | None = None) -> Status:
    """Look at the host; changes nothing. default_name: of the module to look for when this loader installed none."""
    installed = state.installed()
    module = modules.loaded(installed.name if installed else default_name)
    stale = installed is not None and datetime.fromisoformat(installed.expires) < (now or datetime.now(UTC))
    return Status(installed, module, stale)
