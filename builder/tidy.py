"""A batch that leaves no more behind than it must: header trees, kernels and packages that it brought into the cache,
taken out again when no kernel of the batch needs them any more.

Unpacked headers are a hundred megabytes and ten thousand files a kernel, an uncompressed kernel sixty megabytes: those
of a few hundred kernels fill a disk. A tree goes as soon as some younger ones stand there (modules are shared by
comparing trees), the rest when what the batch brought has become more than its share of the disk. What was there before
the batch stays, and everything does while another build or verification runs, for it may use the same.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.headers import header_digest, header_packages
from builder.keep import IN_MEMORY, Item, cache_limit, memory_folder, own_memory, size_of, take_out, used_by_others
from kdriver.core.download import by_digest
from kdriver.core.kernel import FILE, Kernel, PackageRole

TREES_KEPT = 8
"""Of those that no kernel waits for."""
_TREES = ("headers", IN_MEMORY)


@dataclass(frozen=True, slots=True)
class _Need:
    """Something in the cache that a kernel of the batch wants. store: as in builder.keep, or `images`."""

    store: str
    path: Path


class Tidy:
    """What one batch brought; may be used from several threads. keep: take nothing out. share_bytes: how much of it may
    stay besides header trees (None: half of the cache's limit, and not more than half of what is free)."""

    def __init__(
        self, cache: Path, kernels: Iterable[Kernel], *, keep: bool = False, share_bytes: int | None = None
    ) -> None:
        self._cache = cache
        self._keep = keep
        self._needs: Mapping[str, tuple[_Need, ...]] = {kernel.key: _needs(cache, kernel) for kernel in kernels}
        self._waiting = Counter(need for needs in self._needs.values() for need in set(needs))
        self._before = {need for need in self._waiting if need.path.exists()}
        self._share_bytes = _share(cache) if share_bytes is None else share_bytes
        self._idle: list[Item] = []
        self._lock = threading.Lock()

    def done(self, kernel: str) -> None:
        """The kernel of that key has its verdicts."""
        if self._keep:
            return
        with self._lock:
            for need in dict.fromkeys(self._needs.get(kernel, ())):
                self._waiting[need] -= 1
                if not self._waiting[need] and need not in self._before:
                    self._idle += self._left_idle(need)
            if not used_by_others(self._cache):
                self._take_out()

    def _left_idle(self, need: _Need) -> list[Item]:
        """What nobody waits for any more, with when it was used last: who uses it from now on keeps it."""
        if need.store == IN_MEMORY and need.path.parent != own_memory(self._cache):
            return []
        try:
            used = need.path.stat().st_mtime
            return [Item(need.store, need.path, size_of(need.store, need.path), used)]
        except OSError:  # it never came, or another process took it
            return []

    def _take_out(self) -> None:
        trees = [one for one in self._idle if one.store in _TREES]
        rest = [one for one in self._idle if one.store not in _TREES]
        going = trees[: max(0, len(trees) - TREES_KEPT)]
        left = sum(one.size_bytes for one in rest)
        while rest and left > self._share_bytes:
            going.append(rest.pop(0))
            left -= going[-1].size_bytes
        for item in going:
            self._idle.remove(item)
            take_out(self._cache, item)


def _needs(cache: Path, kernel: Kernel) -> tuple[_Need, ...]:
    headers = header_packages(kernel)
    found = []
    if headers:
        name = header_digest(headers)[:32]
        found = [_Need("headers", cache / "headers" / name), _Need(IN_MEMORY, memory_folder(cache) / name)]
    for package in kernel.packages:
        if package.archive == FILE or not package.digest:
            continue
        found.append(_Need("downloads", by_digest(cache / "downloads", package.digest, package.file_name).parent))
        if package.role is PackageRole.IMAGE and package.sha256:
            found.append(_Need("images", cache / "images" / package.sha256[:2] / package.sha256))
    return tuple(found)


def _share(cache: Path) -> int:
    cache.mkdir(parents=True, exist_ok=True)
    about = os.statvfs(cache)
    return min(cache_limit(), about.f_bavail * about.f_frsize) // 2
