"""Which messages of a guest's kernel speak against a driver: warnings and worse, but for a table of known ones."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kdriver.verifier.results import KernelMessage

WARNING_LEVEL = 4

# Words that the kernel's own reports begin with, at whatever level they are printed.
_REPORTS = re.compile(
    r"\b(WARNING: |BUG: |Oops|Call Trace:|general protection fault|kernel BUG at|INFO: task .* blocked|"
    r"INFO: rcu_|scheduling while atomic|sleeping function called|suspicious RCU usage|refcount_t: )"
)

# (message, why it says nothing about the driver)
_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"loading out-of-tree module taints kernel"), "every module that is not the kernel's own"),
    (re.compile(r"module verification failed: signature and/or required key missing"), "the module is not signed"),
    (re.compile(r"^process '.*' launched '.*' with NULL argv"), "a case of execve that is meant"),
    (re.compile(r"^hrtimer: interrupt took \d+ ns"), "the host was busy"),
    (re.compile(r"^perf: interrupt took too long"), "the host was busy"),
    (re.compile(r"^clocksource: "), "the host was busy"),
    (re.compile(r"^sched: RT throttling activated"), "a case runs at real-time priority, and the host was busy"),
    (re.compile(r"^TECH PREVIEW: "), "RHEL 7 says it at the first use of bpf() after a boot"),
    (re.compile(r"^random: .* uninitialized urandom read"), "the guest is seconds old"),
)

# Bits of /proc/sys/kernel/tainted (Documentation/admin-guide/tainted-kernels.rst) that mean a broken kernel.
_TAINTS = {
    1: "a module was force-loaded",
    4: "a machine check",
    5: "a bad page was referenced",
    7: "the kernel died (Oops or BUG)",
    9: "the kernel issued a warning",
    14: "a soft lockup",
}


_PAGES_NOISE_KB = 4096
"""Free pages that each CPU keeps for itself, and what a first use allocates for good. A ring has 8 MB."""


def complaints(messages: Iterable[KernelMessage]) -> tuple[str, ...]:
    """The messages that count against a driver, in their order."""
    return tuple(message.text for message in messages if _counts(message))


def taint_complaints(before: int, after: int) -> tuple[str, ...]:
    """What the kernel says of itself since the driver was loaded, by the taint bits that were set meanwhile."""
    fresh = after & ~before
    return tuple(text for bit, text in _TAINTS.items() if fresh >> bit & 1)


def memory_complaints(kept_kb: int) -> tuple[str, ...]:
    """What the driver's life cost the guest in pages, where that is more than chance. kept_kb: more than before it was
    loaded, after it had gone, that are neither free nor any process's, the page cache's or the slab's."""
    if kept_kb <= _PAGES_NOISE_KB:
        return ()
    return (f"memory: {kept_kb} kB of pages were not given back when the driver had gone",)


def _counts(message: KernelMessage) -> bool:
    if any(pattern.search(message.text) for pattern, _ in _KNOWN):
        return False
    return message.level <= WARNING_LEVEL or _REPORTS.search(message.text) is not None
