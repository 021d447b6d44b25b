"""The numbers of the kernel index (ci/bench index): updates of Debian, and queries of an index of 50,000 kernels.

Everything runs in a folder of its own. Each number stands beside a baseline of the same run: an update beside the mere
transfer of as many bytes, a query beside reading the whole index, a command beside starting Python.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from kdriver.core import console
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.exchange import export_index
from kernel_index.hosts import Uname, host_facts
from kernel_index.query import find_kernels
from kernel_index.resolve import resolve_in_index
from kernel_index.sources import archive_mirrors
from kernel_index.store import RowIndex, load_index, load_kernels, opened
from kernel_index.table import load_table, select_rows

KDRIVER = (sys.executable, "-m", "kdriver.cli")
REPEATS = 7
_PROBE_BYTES = 16 << 20


@dataclass(frozen=True)
class Number:
    """One measurement. target: the most that is asked for, None where nothing is. baseline: what it stands against."""

    what: str
    value: float
    unit: str
    target: float | None = None
    baseline: float | None = None
    baseline_is: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is met; a number without one meets it."""
        return self.target is None or self.value <= self.target


def main() -> int:
    """Parse, measure, print. Exit status 1 with --check when a target was missed."""
    parser = argparse.ArgumentParser(prog="ci/bench index")
    parser.add_argument("--kernels", type=int, default=50_000)
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    words = parser.parse_args()
    numbers: list[Number] = []
    with tempfile.TemporaryDirectory(prefix="kdriver-bench-") as folder:
        if not words.offline:
            numbers += update_numbers(Path(folder) / "debian")
        numbers += query_numbers(Path(folder) / "large", words.kernels)
    if words.as_json:
        console.print_json([{**dataclasses.asdict(one), "met": one.met} for one in numbers])
    else:
        print_numbers(numbers)
    return int(words.check and not all(one.met for one in numbers))


def print_numbers(numbers: Sequence[Number]) -> None:
    """As a table."""
    rows = []
    for one in numbers:
        ratio = f"{one.value / one.baseline:.2f} x {one.baseline:,.4g} {one.unit}" if one.baseline else ""
        target = "" if one.target is None else f"{one.target:,g} {one.unit}{'' if one.met else '  MISSED'}"
        rows.append((one.what, f"{one.value:,.4g} {one.unit}", target, ratio, one.baseline_is))
    console.print_table(("WHAT", "MEASURED", "TARGET", "AGAINST", "WHICH IS"), rows)


def update_numbers(index: Path) -> list[Number]:
    """A first update of all Debian rows, and one right after it."""
    environment = {**os.environ, "KDRIVER_INDEX": str(index)}
    numbers = []
    for name, seconds, kilobytes in (("cold", 30.0, None), ("nothing changed", 2.0, 100.0)):
        started, busy = time.monotonic(), children_seconds()
        done = subprocess.run(
            [*KDRIVER, "index", "update", "--distro", "debian", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        spent, busy = time.monotonic() - started, children_seconds() - busy
        if done.returncode not in (0, 1):
            raise SystemExit(f"kdriver index update: exit status {done.returncode}\n{done.stderr}")
        read_bytes = sum(row["bytes"] for row in json.loads(done.stdout))
        bare = transfer_seconds(read_bytes) if name == "cold" else None
        is_bare = "transferring as many bytes from the same mirror, one after another" if bare else ""
        numbers += [
            Number(f"update of Debian, {name}", spent, "s", seconds, bare, is_bare),
            Number(f"update of Debian, {name}: processor time", busy, "s", None, spent, "the time that passed"),
            Number(f"update of Debian, {name}: read", read_bytes / 1000, "kB", kilobytes),
        ]
    with opened(index) as store:
        kernels = sum(store.count(row_id) for row_id in store.releases())
    return [*numbers, Number("kernels of Debian", kernels, "kernels")]


def children_seconds() -> float:
    """Processor time of all child processes that have ended: what a busy machine does not change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def transfer_seconds(size_bytes: int) -> float:
    """How long the mirror takes to send so many bytes, estimated from one of its package lists."""
    row = select_rows(load_table(), "debian12")[0]
    archive = row.archives[0]
    base = archive_mirrors(row, archive)[0]
    started = time.monotonic()
    taken = 0
    with requests.get(
        f"{base}/dists/{archive.suites[0]}/main/binary-amd64/Packages.xz", stream=True, timeout=30
    ) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 16):
            taken += len(chunk)
            if taken >= _PROBE_BYTES:
                break
    return (time.monotonic() - started) * size_bytes / max(taken, 1)


def query_numbers(index: Path, count: int) -> list[Number]:
    """Queries of an index of `count` made kernels, in this process and as whole commands."""
    write_large(index, count)
    wanted = asked_for(count)
    uname = Uname(wanted.release, f"#1 SMP Debian {wanted.build}", wanted.arch)
    everything = median_ms(lambda: load_kernels(index), repeats=3)
    document = index / "export.json"
    document.write_text(json.dumps(export_index(load_index(index))))
    plain = median_ms(lambda: json.loads(document.read_text()), repeats=3)
    whole = "reading all of it into objects"
    of_row = wanted.distro_release
    queries: list[tuple[str, Callable[[], object]]] = [
        ("one kernel by its key", lambda: find_kernels(index, kernel=wanted.key)),
        ("one kernel by `uname -r`", lambda: find_kernels(index, distro=of_row, kernel=wanted.release)),
        (f"all kernels of {of_row}", lambda: find_kernels(index, distro=of_row)),
        ("newest of every row", lambda: find_kernels(index, kernel="newest")),
        ("resolving a host, exact", lambda: resolve_in_index(host_facts(uname, {"ID": "debian"}), index)),
    ]
    numbers = [
        Number(f"{count:,} kernels: {name}", median_ms(query), "ms", 100.0, everything, whole)
        for name, query in queries
    ]
    start = median_ms(lambda: run([sys.executable, "-c", "pass"], index))
    commands = {
        "kdriver index show KEY --json": ["index", "show", wanted.key, "--json"],
        "kdriver index resolve --json": [
            "index",
            "resolve",
            "--release",
            wanted.release,
            "--version",
            uname.version,
            "--json",
        ],
    }
    for name, argv in commands.items():
        work = functools.partial(run, [*KDRIVER, *argv], index)
        spent, before = median_ms(work), children_seconds()
        work()
        busy_ms = (children_seconds() - before) * 1000
        numbers += [
            Number(f"{count:,} kernels: {name}", spent, "ms", None, start, "starting Python"),
            Number(f"{count:,} kernels: {name}: processor time", busy_ms, "ms"),
        ]
    size_kb = sum(file.stat().st_size for file in index.glob("index.sqlite*")) / 1000
    json_kb = document.stat().st_size / 1000
    return [
        *numbers,
        Number(f"{count:,} kernels: all into objects", everything, "ms", None, plain, "parsing the same as plain JSON"),
        Number(f"{count:,} kernels: size on disk", size_kb, "kB", None, json_kb, "the same as plain JSON"),
    ]


def write_large(index: Path, count: int) -> None:
    """An index of made kernels, spread over the rows of the table, with the one that is asked for."""
    rows = load_table()
    wanted = asked_for(count)
    with opened(index, create=True) as store:
        for number, row in enumerate(rows):
            kernels = [
                dataclasses.replace(made_kernel(number, serial), distro=row.family, distro_release=row.id)
                for serial in range(number, count, len(rows))
            ]
            if row.id == wanted.distro_release:
                kernels.append(wanted)
            store.put_row(RowIndex(row.id, "2026-11-22T10:00:00+00:00", (), tuple(kernels)))
        store.commit()


def asked_for(count: int) -> Kernel:
    """The kernel that the queries name; no other has its release."""
    return dataclasses.replace(made_kernel(0, count // 2), release="6.1.0-56-amd64")


def made_kernel(row: int, serial: int) -> Kernel:
    """A kernel of Debian 12 with four packages, as large as a real record."""
    release = f"6.1.{row}-{serial}-amd64"
    version = f"6.1.{serial}-1"
    packages = tuple(
        Package(
            role,
            f"linux-{role}-{release}",
            version,
            "amd64",
            "main",
            f"pool/main/l/linux/linux-{role}-{release}_{version}_amd64.deb",
            10_000_000 + serial,
            f"{serial:064x}",
        )
        for role in (PackageRole.HEADERS, PackageRole.HEADERS_COMMON, PackageRole.KBUILD, PackageRole.IMAGE)
    )
    return Kernel(
        "debian",
        "debian12",
        release,
        version,
        version,
        "x86_64",
        "amd64",
        packages,
        compiler="gcc-12",
        libc="2.34",
        first_seen="2026-11-01",
        last_seen="2026-11-22",
        named_by=("linux-image-amd64",) if serial < 60 else (),
    )


def run(argv: Sequence[str], index: Path) -> None:
    """A command with that index. Raises CalledProcessError."""
    subprocess.run(argv, env={**os.environ, "KDRIVER_INDEX": str(index)}, check=True, capture_output=True)


def median_ms(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median time in milliseconds; the first time, which fills caches, does not count."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
