"""What is new, gone and changed between two indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdriver.core.kernel import Kernel, Package

Identity = tuple[str, str]
"""A kernel in a distribution release: (row id, key)."""

_FACTS = ("build", "flavour", "compiler", "libc", "authenticated", "gone", "twin_of", "named_by")
"""What is compared of a kernel; the dates of first and last sight move by themselves. A kernel without one has none."""
_PACKAGE_FACTS = ("name", "version", "archive", "path", "size_bytes", "sha256", "state", "authenticated")


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of a kernel. what: `compiler`, or for a package its role and the fact (`headers.sha256`), or the role
    alone where a package came or went. old, new: empty where there was or is none."""

    what: str
    old: str
    new: str

    def to_json(self) -> dict[str, str]:
        """A flat object; keys are this class's fields."""
        return {"what": self.what, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class Difference:
    """new, gone: sorted by row and then as their index has them. A kernel that the newer index still has, but marks as
    gone from every repository, is gone. changed: kernels that both have, with at least one change each."""

    new: tuple[Kernel, ...]
    gone: tuple[Kernel, ...]
    changed: tuple[tuple[Kernel, tuple[Change, ...]], ...]

    def to_json(self) -> dict[str, Any]:
        """What `index diff --json` prints."""
        return {
            "new": [_named(kernel) for kernel in self.new],
            "gone": [_named(kernel) for kernel in self.gone],
            "changed": [
                {**_named(kernel), "changes": [change.to_json() for change in changes]}
                for kernel, changes in self.changed
            ],
        }


def compare_kernels(old: Sequence[Kernel], new: Sequence[Kernel]) -> Difference:
    """What became of the kernels of `old` in `new`."""
    before = {(kernel.distro_release, kernel.key): kernel for kernel in old}
    after = {(kernel.distro_release, kernel.key): kernel for kernel in new}
    both = [(before[one], after[one]) for one in after if one in before]
    vanished = [kernel for identity, kernel in before.items() if identity not in after and not _gone(kernel)]
    marked = [kernel for earlier, kernel in both if _gone(kernel) and not _gone(earlier)]
    marked_keys = {(kernel.distro_release, kernel.key) for kernel in marked}
    changes = [(kernel, _changes(earlier, kernel)) for earlier, kernel in both]
    return Difference(
        new=_sorted([kernel for identity, kernel in after.items() if identity not in before and not _gone(kernel)]),
        gone=_sorted([*vanished, *marked]),
        changed=tuple(
            (kernel, found)
            for kernel, found in changes
            if found and (kernel.distro_release, kernel.key) not in marked_keys
        ),
    )


def _changes(old: Kernel, new: Kernel) -> tuple[Change, ...]:
    found = [
        Change(fact, _shown(getattr(old, fact, "")), _shown(getattr(new, fact, "")))
        for fact in _FACTS
        if getattr(old, fact, "") != getattr(new, fact, "")
    ]
    before, after = _by_role(old), _by_role(new)
    for role in dict.fromkeys([*before, *after]):
        earlier, later = before.get(role), after.get(role)
        if earlier is None or later is None:
            found.append(Change(role, earlier.file_name if earlier else "", later.file_name if later else ""))
            continue
        found += [
            Change(f"{role}.{fact}", _shown(getattr(earlier, fact, "")), _shown(getattr(later, fact, "")))
            for fact in _PACKAGE_FACTS
            if getattr(earlier, fact, "") != getattr(later, fact, "")
        ]
    return tuple(found)


def _by_role(kernel: Kernel) -> dict[str, Package]:
    """Several packages of one role are told apart by their names."""
    packages: dict[str, Package] = {}
    for package in kernel.packages:
        role = str(package.role)
        packages[role if role not in packages else f"{role}:{package.name}"] = package
    return packages


def _gone(kernel: Kernel) -> bool:
    return bool(kernel.gone)


def _sorted(kernels: list[Kernel]) -> tuple[Kernel, ...]:
    return tuple(sorted(kernels, key=lambda kernel: kernel.distro_release))


def _named(kernel: Kernel) -> dict[str, str]:
    return {"key": kernel.key, "distro_release": kernel.distro_release}


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
