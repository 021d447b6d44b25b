"""A batch of `kdriver verify` over kernels of the index: each kernel's drivers are built when its turn comes, and what
its verdicts needed leaves the disk after them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from builder.bench import fetch_package
from builder.headers import header_packages
from builder.plan import BuildPlan, plan_builds
from builder.run import Batch, RunOptions, open_batch
from builder.tidy import Tidy
from kdriver.commands.verify_targets import Target, from_builds
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import DownloadError, KdriverError
from kdriver.core.kernel import Kernel, PackageRole
from kdriver.core.paths import cache_dir
from kdriver.executors.task import StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.choice import Toolchains
    from builder.cluster.client import Cluster
    from builder.source import DriverSource
    from kdriver.commands.verify_run import Request
    from kdriver.verifier.run import Verification


def plan_kernels(
    kernels: Sequence[Kernel],
    kinds: Sequence[DriverKind],
    source: DriverSource,
    lacking: Mapping[DriverKind, str] | None = None,
) -> tuple[BuildPlan, ...]:
    """The builds of these kernels; of a foreign source only the kinds that it has. lacking: as plan_builds."""
    from builder.known_bad import load_known_bad
    from kernel_index.table import load_table

    wanted = [kind for kind in kinds if source.foreign is None or kind in source.kinds]
    return plan_builds(kernels, wanted, source, known_bad=load_known_bad(load_table()), lacking=lacking)


def toolchains_of(executor: str) -> Toolchains:
    """The places that --executor means; a cluster's are its workers', and this machine's stand for them here."""
    from builder.choice import ExecutorName, make_toolchains

    return make_toolchains(ExecutorName.LOCAL if executor == "cluster" else ExecutorName(executor), cache_dir())


@contextlib.contextmanager
def targets_of(
    kernels: Sequence[Kernel], source: DriverSource, request: Request, cluster: Cluster | None = None
) -> Iterator[tuple[Target, ...]]:
    """The kernels as targets, in their order, while the block lasts. cluster: builds them on its workers."""
    plans = plan_kernels(kernels, request.kinds, source)
    options = RunOptions(jobs=request.jobs, mirrors=request.mirrors, share=request.share)
    stages: dict[str, Callable[[str], None]] = {}

    def on_step(plan: BuildPlan, step: str) -> None:
        told = stages.get(plan.kernel.key)
        if told is not None:
            told(f"{plan.kind}: {step}")

    tidy = Tidy(cache_dir(), kernels, keep=request.keep_headers)
    modules = (*request.modules, *(source.foreign.modules if source.foreign else ()))
    with open_batch(
        plans, source, options, toolchains=toolchains_of(request.executor), on_step=on_step, cluster=cluster
    ) as batch:
        yield tuple(
            _target(
                kernel,
                [plan for plan in plans if plan.kernel is kernel],
                batch,
                stages,
                tidy,
                modules,
                request.mirrors,
                fetches=cluster is None,
            )
            for kernel in kernels
        )


def _target(
    kernel: Kernel,
    plans: Sequence[BuildPlan],
    batch: Batch,
    stages: dict[str, Callable[[str], None]],
    tidy: Tidy,
    modules: Sequence[str],
    mirrors: Sequence[str],
    *,
    fetches: bool,
) -> Target:
    """fetches: whether its image comes here: one that cannot be had is known before anything is built for it."""

    def make(on_stage: Callable[[str], None]) -> Verification:
        error = image_error(kernel, mirrors) if fetches else None
        if error is not None:
            there = [one for plan in plans if (one := batch.remembered(plan)) is not None]
            missing = [plan.kind for plan in plans if plan.kind not in {one.kind for one in there}]
            return replace(
                from_builds([kernel], there, modules, mirrors=mirrors)[0],
                unserved=tuple((kind, error.message) for kind in missing),
                unbuilt=tuple((kind, error) for kind in missing),
            )
        stages[kernel.key] = on_stage
        try:
            results = [batch.build(plan) for plan in plans]
        finally:
            del stages[kernel.key]
        return from_builds([kernel], results, modules, mirrors=mirrors)[0]

    def known() -> Verification | None:
        found = [batch.build_alone(plan) if plan.skip else batch.remembered(plan) for plan in plans]
        results = [one for one in found if one is not None]
        if len(results) < len(plans):
            return None
        return from_builds([kernel], results, modules, mirrors=mirrors)[0]

    return Target(
        kernel.key,
        kernel.release,
        make,
        known,
        fetch=partial(_fetch, kernel, mirrors),
        done=partial(tidy.done, kernel.key),
        stop=batch.stop,
    )


def image_error(kernel: Kernel, mirrors: Sequence[str]) -> KdriverError | None:
    """Why a kernel's image cannot be had; None where it is in the cache now, or the index knows none."""
    package = kernel.package(PackageRole.IMAGE)
    try:
        if package is not None:
            fetch_package(kernel, package, mirrors)
    except StoppedError:
        raise
    except KdriverError as error:
        return error
    except OSError as error:
        return DownloadError(f"{kernel.release}: its image cannot be kept here: {error}")
    return None


def _fetch(kernel: Kernel, mirrors: Sequence[str]) -> None:
    """Bring a kernel's headers and image into the cache."""
    for package in (*header_packages(kernel), *(one for one in kernel.packages if one.role is PackageRole.IMAGE)):
        fetch_package(kernel, package, mirrors)
