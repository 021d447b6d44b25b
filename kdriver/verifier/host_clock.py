"""How fast this machine's time stamp counter runs, so that an emulated guest need not find out.

QEMU's emulated counter is the host's own. A kernel measures it against an emulated timer while it boots, and on a busy
host it may get a result that is several times too low: its clock then runs several times too fast, and every time limit
in the guest strikes early. Measured here it is right however busy the machine is: the counter and the clock are read
together, and of many such pairs the tightest counts.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import time

_RDTSC = bytes([0x0F, 0x31, 0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0, 0xC3])
"""rdtsc; shl rdx, 32; or rax, rdx; ret"""
_APART_S = 0.05
_PAIRS = 200


@functools.cache
def host_tsc_khz() -> int:
    """Thousands of ticks a second; 0 where that cannot be measured (no x86_64, or no page may be made executable)."""
    if platform.machine() != "x86_64":
        return 0
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return 0
    page.write(_RDTSC)
    start = ctypes.c_char.from_buffer(page)
    counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(start))
    first_ns, first = _pair(counter)
    time.sleep(_APART_S)
    second_ns, second = _pair(counter)
    del start  # else the page could not be given back
    return round((second - first) * 1_000_000 / (second_ns - first_ns))


def _pair(counter: object) -> tuple[int, int]:
    """The clock in nanoseconds and the counter at one moment."""
    assert callable(counter)
    best = (1 << 62, 0, 0)
    for _ in range(_PAIRS):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        ticks = counter()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        best = min(best, (after - before, (before + after) // 2, ticks))
    return best[1], best[2]
