"""The last step of ci/quickstart: a Debian host, as a guest, loads the published driver over HTTP and shows events.

The guest is a Debian root file system (mmdebstrap) with Python, kdriver's wheel and modules of the kernel's own
package, on that kernel, in QEMU with user networking. Its results come over its second serial port.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import guest_layers
from guest_layers import Layer

from kdriver.core.artifact import DriverKind
from kdriver.core.download import cached
from kdriver.core.errors import ConfigError, KdriverError, NotFoundError, VerifyError
from kdriver.core.kernel import Kernel, PackageRole
from kdriver.repository.layout import metadata_path
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.guest import dying_with_us
from kdriver.verifier.image import kernel_from_package
from kdriver.verifier.machine import MachinePlan, machine_argv
from kernel_index.query import select_kernels
from kernel_index.sources import archive_mirrors, package_urls
from kernel_index.store import load_kernels
from kernel_index.table import load_table, select_rows

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
HOST_ADDRESS = "10.0.2.2"
_MEMORY_MB = 1536
"""The root file system lies in memory, and its archive as well until it is unpacked: 190 MB each."""
MARK = "/etc/hostname"
"""The file that is opened again and again in the guest while events are captured: one event must show it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command in the guest. needed: the session ends when it fails. expect: what its output must match."""

    name: str
    argv: tuple[str, ...]
    expect: str
    timeout_s: int = 180
    needed: bool = True
    meanwhile: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As ci/lib/guest_session.py reads it."""
        return {
            "name": self.name,
            "argv": list(self.argv),
            "timeout_s": self.timeout_s,
            "needed": self.needed,
            "meanwhile": list(self.meanwhile),
        }


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did. status: None when it did not end."""

    name: str
    argv: tuple[str, ...]
    output: tuple[str, ...]
    status: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Packages:
    """The package files with the kernel and with its modules; often the same one."""

    image: Path
    modules: Path
    modules_sha256: str


def plan_session(url: str, kind: str, capture_s: int) -> tuple[Step, ...]:
    """What a person would do on a new host."""
    load = ("kdriver", "load", "--repo", url, "--trust", "/etc/kdriver/root.json", "--kind", kind)
    capture = ("kdriver", "capture", "--events", "execve,openat,read", "--comm", "cat", "--max-events", "12")
    done = "loaded" if kind == DriverKind.KMOD else "installed"
    return (
        Step("load", (*load, "--explain"), rf"^{done}: "),
        Step("load again", ("kdriver", "load", "--repo", url, "--kind", kind), "^already loaded: "),
        Step("status", ("kdriver", "status"), rf"\({kind}\): passed on "),
        Step(
            "capture",
            (*capture, "--duration", str(capture_s)),
            f'openat.*"{MARK}"',
            needed=False,
            meanwhile=("cat", MARK),
        ),
        Step("unload", ("kdriver", "unload"), r"removed from this host"),
        Step("status after", ("kdriver", "status"), "^no driver is in place"),
    )


def plan_machine(plan: MachinePlan) -> list[str]:
    """The verifier's machine, with a network card that reaches this host as 10.0.2.2."""
    return [*machine_argv(plan), "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]


def judge(steps: tuple[Step, ...], results: tuple[StepResult, ...]) -> tuple[str, ...]:
    """What went wrong, one line each; empty when every step did what it should."""
    faults = []
    by_name = {one.name: one for one in results}
    for step in steps:
        result = by_name.get(step.name)
        if result is None:
            faults.append(f"{step.name}: was not reached")
        elif result.status != 0:
            lines = [line for line in result.output if line.strip() and not line.startswith("  hint: ")]
            said = lines[-1] if lines else "it printed nothing"
            faults.append(f"{step.name}: ended with status {result.status}: {said}")
        elif not any(re.search(step.expect, line) for line in result.output):
            faults.append(f"{step.name}: no line of its output matches {step.expect!r}")
    return tuple(faults)


def run_session(
    argv: list[str], results: Path, timeout_s: float, show: Callable[[str], None]
) -> tuple[StepResult, ...]:
    """Start the guest and follow its second serial port until it powers off. Raises VerifyError on time-out or when
    the guest says that its session broke."""
    results.write_bytes(b"")
    errors = results.with_name("qemu.log")
    with errors.open("wb") as log:
        process = subprocess.Popen(
            dying_with_us(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        with results.open("rb") as stream:
            return tuple(_follow(stream, process, time.monotonic() + timeout_s, show))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _follow(
    stream: IO[bytes], process: subprocess.Popen[bytes], deadline: float, show: Callable[[str], None]
) -> Iterator[StepResult]:
    name, argv, output = "", (), []  # type: str, tuple[str, ...], list[str]
    for record in _records(stream, process, deadline):
        if "run" in record:
            name, argv, output = record["step"], tuple(record["run"]), []
            show(f"guest# {' '.join(argv)}")
        elif "out" in record:
            output.append(record["out"])
            show(f"  {record['out']}")
        elif "status" in record:
            show(f"  ({record['seconds']} s)")
            yield StepResult(name, argv, tuple(output), record["status"], record["seconds"])
        elif "fault" in record:
            raise VerifyError(f"the guest's session broke: {record['fault']}", hint="Read the guest's console.")


def _records(stream: IO[bytes], process: subprocess.Popen[bytes], deadline: float) -> Iterator[dict[str, Any]]:
    rest = b""
    while True:
        ended = process.poll() is not None
        rest += stream.read()
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield json.loads(line)
        if ended:
            return
        if time.monotonic() > deadline:
            raise VerifyError("the guest did not power off in time", hint="Read the guest's console, or try again.")
        time.sleep(0.1)


@contextmanager
def serving(repository: Path, log: Path) -> Iterator[int]:
    """`kdriver serve` on a free port of the loopback address; yields the port."""
    argv = [
        sys.executable,
        "-m",
        "kdriver",
        "serve",
        "--repo",
        str(repository),
        "--listen",
        "127.0.0.1:0",
        "--access-log",
    ]
    with log.open("wb") as errors:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        port = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", line)
        if port is None:
            raise KdriverError(f"kdriver serve did not start: {log.read_text().strip()}", hint=f"Read {log}.")
        yield int(port.group(1))
    finally:
        process.terminate()
        process.wait(10)


def image_package(kernel: Kernel) -> Packages:
    """The packages with the kernel and its modules, from the cache or downloaded."""
    image = kernel.package(PackageRole.IMAGE)
    if image is None:
        raise NotFoundError(f"{kernel.key}: the index has no image package", hint="Run `kdriver index update`.")
    modules = kernel.package(PackageRole.MODULES) or image
    image_path, modules_path = (
        cached(package_urls(kernel, one), one.sha256, one.size_bytes, one.file_name) for one in (image, modules)
    )
    return Packages(image_path, modules_path, modules.sha256)


def main() -> int:
    """Parse, make the layers, boot, judge."""
    arguments = _parser().parse_args()
    try:
        return run(arguments)
    except KdriverError as error:
        print(f"host_guest: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return int(error.exit_code)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the whole step; returns an exit status. Raises KdriverError."""
    kernels = select_kernels(load_kernels(), distro=arguments.distro, kernel=arguments.kernel)
    if len(kernels) != 1:
        raise ConfigError(f"{len(kernels)} kernels are meant", hint="Name one with --kernel.")
    root_file = arguments.repo / metadata_path("root", 1)
    if not root_file.is_file():
        raise NotFoundError(f"{arguments.repo}: is no repository", hint="Make one with `kdriver repo init`.")
    kernel, work = kernels[0], arguments.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    packages = image_package(kernel)
    layers = make_layers(kernel, packages, work)
    made = ", ".join(f"{one.name}{'' if one.made else ' (cached)'}" for one in layers)
    say(f"guest: Debian {guest_layers.SUITE} on {kernel.release}: {made}; {time.monotonic() - began:.1f} s")
    with serving(arguments.repo, work / "server.log") as port:
        steps = plan_session(f"http://{HOST_ADDRESS}:{port}/", arguments.kind, arguments.capture_seconds)
        session = {"steps": [step.to_json() for step in steps]}
        last = guest_layers.session_entries(session, root_file.read_bytes(), HERE)
        machine = MachinePlan(
            qemu=find_qemu(),
            kernel=kernel_from_package(packages.image, kernel.release).path,
            initramfs=work / "initramfs.cpio",
            console=work / "console.log",
            results=work / "results.jsonl",
            cpus=arguments.cpus,
            memory_mb=_MEMORY_MB,
        )
        try:
            guest_layers.join_layers(layers, last, machine.initramfs)
            results = boot(machine, arguments.timeout)
        finally:
            machine.initramfs.unlink(missing_ok=True)
    faults = judge(steps, results)
    for fault in faults:
        print(f"host_guest: {fault}", file=sys.stderr)
    say(f"guest: {len(steps) - len(faults)} of {len(steps)} steps as they should be; {time.monotonic() - began:.1f} s")
    return 1 if faults else 0


def make_layers(kernel: Kernel, packages: Packages, work: Path) -> tuple[Layer, ...]:
    """The guest's root file system, two layers at a time; what each maker printed goes to a log of its own."""
    row = select_rows(load_table(), "debian12")[0]
    mirror = archive_mirrors(row, row.archive("main"))[0]
    makers: tuple[Callable[[], Layer], ...] = (
        lambda: guest_layers.root_layer(mirror, work / "root.log"),
        lambda: guest_layers.dependencies_layer(SOURCE, work / "dependencies.log"),
        lambda: guest_layers.kdriver_layer(SOURCE, work / "kdriver.log"),
        lambda: guest_layers.modules_layer(
            packages.modules, packages.modules_sha256, kernel.release, work / "modules.log"
        ),
    )
    with ThreadPoolExecutor(2) as pool:
        return tuple(pool.map(lambda make: make(), makers))


def boot(machine: MachinePlan, timeout_s: float) -> tuple[StepResult, ...]:
    """Run the guest's session. A guest that dies before it begins is tried once more: emulated kernels crash early now
    and then, which says nothing about a driver. Raises VerifyError when it dies again."""
    for _ in range(2):
        results = run_session(plan_machine(machine), machine.results, timeout_s, say)
        if results:
            return results
    raise VerifyError(
        "the guest did not reach its session",
        hint=f"Read {machine.console} and {machine.results.with_name('qemu.log')}.",
    )


def say(line: str) -> None:
    """A line of the transcript, at once."""
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--distro", default="debian12", help="the kernel's distribution release")
    parser.add_argument("--kernel", default="newest", help="its key, its `uname -r`, or newest")
    parser.add_argument(
        "--kind", choices=[str(kind) for kind in DriverKind], default="kmod", help="which driver to load"
    )
    parser.add_argument("--repo", type=Path, required=True, help="the repository's folder")
    parser.add_argument("--work", type=Path, required=True, help="folder for logs and results")
    parser.add_argument("--cpus", type=int, default=2, help="the guest's processors")
    parser.add_argument("--capture-seconds", type=int, default=10, help="for how long to wait for live events")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for the guest, boot included")
    return parser


if __name__ == "__main__":
    sys.exit(main())
