"""`kdriver verify`: boot kernels in QEMU and judge their drivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.commands.build_options import where_to_build
from kdriver.commands.given import Named
from kdriver.commands.verify_run import Request, build_drivers, carry_out, say_not_built
from kdriver.core.artifact import DriverKind
from kdriver.core.console import print_json, print_table, size
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import PackageRole
from kdriver.core.paths import cache_dir
from kdriver.core.process import stopped_by_sigterm
from kernel_index.query import KERNEL_HELP

if TYPE_CHECKING:
    from builder.given import GivenKernel
    from kdriver.core.kernel import Kernel


@click.command(name="verify")
@click.option("--distro", help="A distribution release (debian12) or family (debian); all of its kernels.")
@click.option("--kernel", "kernels", multiple=True, help=f"{KERNEL_HELP} Repeatable.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in DriverKind]),
    help="Only this driver kind.",
)
@click.option(
    "--driver-src",
    type=click.Path(path_type=Path),
    help="Another driver than kdriver's: a folder with a driver.toml, or a kbuild module (with --name).",
)
@click.option("--name", help="What the module of --driver-src is called, where no driver.toml says so.")
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    help="Judge the drivers in this folder (of build --out) instead of what is built here.",
)
@click.option(
    "--accel",
    type=click.Choice(["auto", "tcg", "kvm"]),
    default="tcg",
    show_default=True,
    help="What runs the guest; auto is KVM where a probe guest ran on it, else TCG.",
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    help="Seconds that one guest may take on an idle machine; a busy one has up to eight times that.",
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Guests at a time.")
@click.option("--changed", is_flag=True, help="Only what no verdict covers that still holds.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be booted, and download nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option(
    "--module", "modules", multiple=True, help="A module of the kernel's own that the guest inserts first. Repeatable."
)
@click.option(
    "--strace",
    is_flag=True,
    help="Run the cases once more under this machine's strace, which must agree on calls, arguments and results.",
)
@click.option("--cases", "cases", multiple=True, metavar="GLOB", help="Only cases of that name. Repeatable.")
@click.option(
    "--shell", "as_shell", is_flag=True, help="A prompt in the guest of one kernel, with its drivers at hand."
)
@click.option("--gdb", "with_gdb", is_flag=True, help="Let the guest of one kernel wait for a debugger.")
@click.option("--keep", is_flag=True, help="Keep each guest's files beside its console log.")
@click.option(
    "--kernel-image",
    type=click.Path(path_type=Path),
    help="A kernel from outside the index: its bzImage or vmlinux, the .deb or .rpm that holds it, or a folder.",
)
@click.option(
    "--headers",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Its headers, which its drivers are built from: a prepared build tree, a kernel-devel or linux-headers "
    "folder, a .deb or .rpm. Repeatable.",
)
@click.option(
    "--modules",
    "modules_from",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Its own modules, for --module and for comparing symbols: a folder, a .deb or .rpm. Repeatable.",
)
@click.option("--release", help="Its `uname -r`, where neither the image nor the headers say it.")
@click.option(
    "--btf",
    type=click.Path(path_type=Path),
    help="Its type information (BTF), for the CO-RE driver on a kernel that has none of its own.",
)
@click.option("--no-share", is_flag=True, help="Build a module of its own for each kernel; see docs/building.md.")
@where_to_build("Where to compile, as of kdriver build; on a cluster the guests run, too.")
@click.option(
    "--keep-headers",
    is_flag=True,
    help="Leave what a batch unpacked and downloaded in the cache, up to its limit.",
)
def command(
    distro: str | None,
    kernels: tuple[str, ...],
    kinds: tuple[str, ...],
    driver_src: Path | None,
    name: str | None,
    artifacts: Path | None,
    accel: str,
    timeout: int,
    jobs: int,
    changed: bool,
    dry_run: bool,
    as_json: bool,
    modules: tuple[str, ...],
    strace: bool,
    cases: tuple[str, ...],
    as_shell: bool,
    with_gdb: bool,
    keep: bool,
    kernel_image: Path | None,
    headers: tuple[Path, ...],
    modules_from: tuple[Path, ...],
    release: str | None,
    btf: Path | None,
    no_share: bool,
    mirrors: tuple[str, ...],
    executor: str,
    scheduler: str | None,
    keep_headers: bool,
) -> int:
    """Boot kernels in QEMU, try their drivers there, and keep a verdict for each.

    A guest loads a driver, makes every call of the catalogue with known arguments, compares every event and parameter
    with what it must be, switches events off and on, runs a competing load, overruns a small buffer, unloads, and reads
    the kernel's log. What is not built yet is built first. Emulation (TCG) needs no rights.

    A driver of another project (--driver-src with a driver.toml) is judged by its own check command, which the guest
    runs with the driver loaded: docs/bring-your-own-driver.md.

    \b
    Examples:
      kdriver verify --distro debian12 --kernel newest
      kdriver verify --kernel 6.1.0-56-amd64 --kind kmod --json
      kdriver verify --distro debian --changed -j2
      kdriver verify --kernel newest --executor cluster --scheduler tcp://h:8786
      kdriver verify --kernel newest:cloud-amd64 --kind core --cases 'open*'
      kdriver verify --kernel newest:cloud-amd64 --shell
      kdriver verify --kernel newest --driver-src ./vpoll-0.1
      kdriver verify --kernel-image linux-4.14 --headers linux-4.14
      kdriver verify --kernel-image kernel-core.rpm --headers kernel-devel.rpm
      kdriver verify --kernel-image vmlinuz --artifacts drivers

    A batch takes one kernel after the other from its headers to its verdicts, as many at a time as --jobs says, the
    slowest and newest first; each ends in a line on stderr. What is unpacked for a kernel leaves the cache after it.
    Stopped by ctrl-C, the same command with --changed goes on where it stopped.

    docs/verify-your-own-kernel.md tells more about kernels from outside the index.

    Exit status: 0 all passed (a kind that cannot work on a kernel is named and does not count), 1 some of a batch did
    not, 2 usage, 3 no such kernel, and for one kernel 5 when a driver did not pass, 4 when none could be built, 6 when
    a package is not what the signed metadata promised.
    """
    request = Request(
        tuple(DriverKind(kind) for kind in kinds) or tuple(DriverKind),
        driver_src,
        artifacts,
        accel,
        float(timeout),
        jobs,
        keep,
        as_json,
        modules,
        name,
        btf,
        changed,
        strace,
        cases,
        as_shell,
        with_gdb,
        executor,
        scheduler,
        mirrors,
        not no_share,
        keep_headers,
    )
    if (executor == "cluster") is (scheduler is None):
        raise click.UsageError("--executor cluster and --scheduler ADDRESS go together")
    if scheduler and (as_shell or with_gdb or artifacts or kernel_image or keep or accel != "tcg"):
        raise click.UsageError(
            "--shell, --gdb, --keep, --artifacts, --kernel-image and --accel are for guests of this machine"
        )
    if kernel_image is not None:
        if not headers and artifacts is None:
            raise click.UsageError("--kernel-image needs --headers, to build its drivers from, or --artifacts")
        if distro or kernels:
            raise click.UsageError("--kernel-image and kernels of the index exclude each other")
        with stopped_by_sigterm():
            return _verify_given(
                Named(kernel_image, headers, modules_from, release or "", btf), request, dry_run=dry_run
            )
    if headers or modules_from or release or btf:
        raise click.UsageError("--headers, --modules, --release and --btf are about the kernel of --kernel-image")
    if distro is None and not kernels:
        raise click.UsageError("name kernels with --distro, --kernel or both")
    chosen = _choose(distro, kernels)
    if len(chosen) > 1 and (as_shell or with_gdb):
        raise click.UsageError("--shell and --gdb are for one kernel; name it with --kernel")
    if dry_run:
        return _print_plans([_plan_row(kernel) for kernel in chosen], request)
    from builder.keep import cache_limit, prune
    from builder.memory import cache_in_use

    limit_bytes = cache_limit()
    # From the first package on, not only while something is built: a boot reads kernels and artifacts of the cache.
    with stopped_by_sigterm(), cache_in_use(cache_dir()):
        status = _verify_index(chosen, request)
    if len(chosen) > 1:
        prune(cache_dir(), limit_bytes=limit_bytes, max_age_s=None)
    return status


def _choose(distro: str | None, names: tuple[str, ...]) -> tuple[Kernel, ...]:
    from kernel_index.query import find_kernels

    found = [one for name in names or (None,) for one in find_kernels(distro=distro, kernel=name)]
    return tuple(dict.fromkeys(found))


def _verify_index(kernels: Sequence[Kernel], request: Request) -> int:
    from builder.source import load_source
    from kdriver.commands.verify_batch import image_error, targets_of
    from kdriver.commands.verify_cluster import targets_on
    from kdriver.commands.verify_targets import from_builds, from_folder, ready
    from kdriver.verifier.accelerator import find_qemu

    source = load_source(request.driver_src, request.name)
    if request.scheduler is not None:
        if source.foreign is not None:
            raise click.UsageError(
                "a driver with a check of its own is verified on this machine; leave --scheduler out"
            )
        with targets_on(request.scheduler, kernels, source, request) as (targets, slots):
            return carry_out(targets, source, "", replace(request, jobs=slots))
    qemu = find_qemu()
    modules = (*request.modules, *(source.foreign.modules if source.foreign else ()))
    if request.artifacts is not None:
        verifications = from_folder(kernels, request.kinds, request.artifacts, modules, request.mirrors)
        return carry_out([ready(one) for one in verifications], source, qemu, request)
    if len(kernels) == 1 and image_error(kernels[0], request.mirrors) is None:
        results = build_drivers(kernels, source, request)
        (verification,) = from_builds(kernels, results, modules, mirrors=request.mirrors)
        if not any(result.ok for result in results):
            return say_not_built(results, verification, request)
        return carry_out([ready(verification)], source, qemu, request)
    with targets_of(kernels, source, request) as targets:
        return carry_out(targets, source, qemu, request)


def _verify_given(named: Named, request: Request, *, dry_run: bool) -> int:
    from builder.memory import cache_in_use
    from kdriver.commands.given import name_kernel

    given = name_kernel(named)
    if dry_run:
        return _print_plans([_plan_row(given.kernel)], request)
    with cache_in_use(cache_dir()):
        return _verify_named(given, named, request)


def _verify_named(given: GivenKernel, named: Named, request: Request) -> int:
    from builder.source import load_source
    from kdriver.commands.verify_targets import from_builds, from_given, ready
    from kdriver.verifier.accelerator import find_qemu

    qemu = find_qemu()
    source = load_source(request.driver_src, request.name)
    if request.artifacts is not None:
        verification = from_given(given, request.kinds, request.artifacts, request.modules, named.btf)
        return carry_out([ready(verification)], source, qemu, request)
    lacking = dict(given.lacking)
    results = build_drivers([given.kernel], source, request, lacking)
    modules = (*request.modules, *(source.foreign.modules if source.foreign else ()))
    (verification,) = from_builds([given.kernel], results, modules, named.btf, lacking)
    if not any(result.ok for result in results):
        return say_not_built(results, verification, request)
    return carry_out([ready(verification)], source, qemu, request)


def _plan_row(kernel: Kernel) -> tuple[str, str, int]:
    package = kernel.package(PackageRole.IMAGE)
    if package is None:
        return kernel.key, "nothing: the index knows no image of it", 0
    return kernel.key, package.file_name, package.size_bytes


def _print_plans(images: Sequence[tuple[str, str, int]], request: Request) -> int:
    """images: a kernel's key, its package or file, and that one's size."""
    rows = [
        {"kernel": key, "kinds": [str(kind) for kind in request.kinds], "image": image, "size_bytes": size_bytes}
        for key, image, size_bytes in images
    ]
    if request.as_json:
        print_json(rows)
    else:
        cells = [(key, ", ".join(request.kinds), f"{image} ({size(bytes_)})") for key, image, bytes_ in images]
        print_table(("kernel", "kinds", "boots"), cells)
    return int(ExitCode.DONE)
