"""Carries plans out: exactly one result for each plan, whatever happens to the others."""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from builder.bench import Bench, StepListener
from builder.choice import ExecutorName, Toolchains, make_toolchains
from builder.failure import Failure, StepError
from builder.keep import cache_limit, prune
from builder.memory import cache_in_use, give_up
from builder.one import build_one
from builder.plan import BuildPlan
from builder.remembered import Remembered
from builder.result import BuildOutcome, BuildResult
from builder.schedule import carry_out, of_shared
from builder.share import Shares
from builder.signing import SigningKey, host_tools, sign_stored
from builder.source import DriverSource, render_headers
from builder.store import Stored, copy_out
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, DownloadError, ExitCode, IntegrityError, KdriverError
from kdriver.core.paths import cache_dir

if TYPE_CHECKING:
    from builder.cluster.client import Cluster

_STALE_S = 24 * 3600.0
_STORES = (
    "headers", "probes", "generated", "artifacts", "tools", "layouts", "shares", "code", "remembered", "downloads",
    "downloads/*", "sources", "images", "images/*",
)  # fmt: skip

ResultListener = Callable[[BuildPlan, BuildResult], None]
"""Told of each result as it comes, in the thread that called run_builds."""
Builder = Callable[[BuildPlan, Bench], tuple[Stored, BuildOutcome]]
"""Makes the artifact of a plan, here or elsewhere: builder.one.build_one says how."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """jobs: builds at a time. force: build what is cached, too. out: copy artifacts there as well. fail_fast: start
    nothing more after a failure; what waits is skipped. signing: make a signed file of each module, too. mirrors: where
    packages come from, as --mirror's values. share: let a module serve other kernels of the batch where that is proved
    to be right; on a cluster each kernel has its own. tidy: keep the cache below its limit afterwards, which reads all
    of it."""

    jobs: int = 1
    force: bool = False
    out: Path | None = None
    fail_fast: bool = False
    signing: SigningKey | None = None
    mirrors: tuple[str, ...] = ()
    share: bool = True
    tidy: bool = True


class Batch:
    """A batch that is open: builds what it is asked for, one plan at a time, from several threads.

    A plan that shares gets the batch's CO-RE object, which is built when it is first wanted; the others wait for it.
    """

    def __init__(
        self,
        plans: Sequence[BuildPlan],
        bench: Bench,
        build: Builder,
        options: RunOptions,
        stop: Callable[[], None],
        *,
        here: bool = True,
    ) -> None:
        """here: it builds with the compilers of this machine."""
        self.stop = stop
        shares = frozenset(plan.kernel.key for plan in plans) if options.share else frozenset()
        self._remembered = Remembered(bench, shares) if here else None
        self._bench = bench
        self._build = build
        self._signing = options.signing
        self._folders = _out_folders(plans, options.out)
        self._core = next(
            (plan for plan in plans if plan.kind is DriverKind.CORE and not (plan.skip or plan.shares)), None
        )
        self._core_lock = threading.Lock()
        self._core_result: BuildResult | None = None

    def remembered(self, plan: BuildPlan) -> BuildResult | None:
        """What was built for a plan before, found without unpacking headers; None where nothing is known."""
        return None if self._remembered is None else self._remembered.find(replace(plan, shares=False))

    def build(self, plan: BuildPlan) -> BuildResult:
        """One plan to its result; never raises for a build that fails."""
        if plan.shares or plan == self._core:
            result = self._core_of(plan)
            return of_shared(plan, result) if plan.shares else result
        return self.build_alone(plan)

    def build_alone(self, plan: BuildPlan) -> BuildResult:
        """The same for a plan that does not share."""
        result = _run_one(plan, self._bench, self._build, self._folders.get(plan), self._signing)
        if self._remembered is not None:
            self._remembered.note(plan, result)
        return result

    def _core_of(self, plan: BuildPlan) -> BuildResult:
        with self._core_lock:
            if self._core_result is None:
                self._core_result = self.build_alone(self._core or replace(plan, shares=False))
            return self._core_result


@contextmanager
def open_batch(
    plans: Sequence[BuildPlan],
    source: DriverSource,
    options: RunOptions | None = None,
    *,
    toolchains: Toolchains | None = None,
    on_step: StepListener | None = None,
    cluster: Cluster | None = None,
) -> Iterator[Batch]:
    """A batch of these plans; while it is open nothing that it uses is taken out of the cache.

    Raises before anything is built what run_builds raises."""
    options = options or RunOptions()
    cache = cache_dir()
    toolchains = toolchains or make_toolchains(ExecutorName.AUTO, cache)
    if re.search(r"[\s:'\"$#\\]", str(cache)):
        raise ConfigError(
            f"{cache}: the kernel's make cannot work below a folder with spaces, colons or quotes in its name",
            hint="Name another folder in KDRIVER_CACHE.",
        )
    try:
        _sweep(cache)
        give_up(cache)
        generated = render_headers(source, cache / "generated")
    except OSError as error:
        raise _of_the_system(error) from error
    shares = Shares(frozenset(plan.kernel.key for plan in plans)) if options.share else None
    build: Builder = partial(build_one, shares=shares) if cluster is None else _on(cluster)
    listener = on_step or (lambda plan, step: None)
    bench = Bench(cache, source, generated, toolchains, force=options.force, on_step=listener, mirrors=options.mirrors)
    with cache_in_use(cache):
        stop = toolchains.stop if cluster is None else cluster.stop
        yield Batch(plans, bench, build, options, stop, here=cluster is None)


def run_builds(
    plans: Sequence[BuildPlan],
    source: DriverSource,
    options: RunOptions | None = None,
    *,
    toolchains: Toolchains | None = None,
    on_step: StepListener | None = None,
    on_result: ResultListener | None = None,
    cluster: Cluster | None = None,
) -> tuple[BuildResult, ...]:
    """Build; the results are in the order of the plans. A failure of one plan is its result and stops no other.

    Raises before anything is built: ConfigError when the cache's folder is one that kbuild cannot work below,
    StepError when it cannot be written to, and what kdriver.catalogue raises when the catalogue is wrong.
    KeyboardInterrupt kills what runs; what was built until then was told to on_result, and is in the cache.
    cluster: builds on its workers instead.
    """
    options = options or RunOptions()
    results: dict[BuildPlan, BuildResult] = {}

    def tell(plan: BuildPlan, result: BuildResult) -> None:
        results[plan] = result
        if on_result is not None:
            on_result(plan, result)

    limit_bytes = cache_limit()
    with open_batch(plans, source, options, toolchains=toolchains, on_step=on_step, cluster=cluster) as batch:
        carry_out(plans, batch.build_alone, jobs=options.jobs, fail_fast=options.fail_fast, tell=tell, stop=batch.stop)
        if options.tidy and any(result.outcome is BuildOutcome.BUILT for result in results.values()):
            prune(cache_dir(), limit_bytes=limit_bytes, max_age_s=None)
    return tuple(results[plan] for plan in plans)


def _on(cluster: Cluster) -> Builder:
    def build(plan: BuildPlan, bench: Bench) -> tuple[Stored, BuildOutcome]:
        stored, fresh = cluster.build(plan, bench)
        return stored, BuildOutcome.BUILT if fresh else BuildOutcome.CACHED

    return build


def _out_folders(plans: Sequence[BuildPlan], out: Path | None) -> dict[BuildPlan, Path]:
    """Where each plan's artifact is copied: `out`/<release>, with the package version where a release has several."""
    if out is None:
        return {}
    kernels = {plan.kernel.key: plan.kernel for plan in plans}
    releases = [kernel.release for kernel in kernels.values()]
    folders = {}
    for plan in plans:
        release = plan.kernel.release
        name = release if releases.count(release) == 1 else f"{release}_{plan.kernel.package_version}"
        folders[plan] = out / ("any" if plan.kind is DriverKind.CORE else name)
    return folders


def _run_one(
    plan: BuildPlan, bench: Bench, build: Builder, out: Path | None, signing: SigningKey | None
) -> BuildResult:
    """One plan to its result; the one place where any exception becomes a failed build."""
    if plan.skip:
        fields = {"reason": plan.skip, "line": plan.line, "exit_code": ExitCode.NOT_FOUND}
        return _tell(bench, plan, _result(plan, BuildOutcome.SKIPPED, **fields))
    started = time.monotonic()
    log = bench.log(plan)
    try:
        stored, outcome = build(plan, bench)
        serves = plan.kernel.key if outcome is BuildOutcome.SHARED and stored.record.kernel != plan.kernel.key else ""
        path = copy_out(stored, out, serves) if out is not None else stored.path
        result = _result(plan, outcome, artifact=path, record=stored.record, log=log if log.exists() else None)
        if signing is not None and plan.kind is DriverKind.KMOD:
            tools = (bench.tree(plan).build_dir / "scripts/sign-file", *host_tools())
            signed = sign_stored(stored, signing, bench.store, tools)
            path = copy_out(signed, out / "signed", serves) if out is not None else signed.path
            result = replace(result, signed=path, signed_record=signed.record)
    except KdriverError as error:
        result = _failed(plan, error)
    except OSError as error:
        result = _failed(plan, _of_the_system(error))
    except Exception:  # noqa: BLE001 - a bug in one build must not stop the batch; the log keeps its traceback
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as out_log:
            traceback.print_exc(file=out_log)
        last = traceback.format_exc().strip().splitlines()[-1]
        result = _failed(plan, StepError(Failure.BUG, last, hint="Report it with the log.", log=log))
    return _tell(bench, plan, replace(result, seconds=time.monotonic() - started))


def _failed(plan: BuildPlan, error: KdriverError) -> BuildResult:
    words = {DownloadError: Failure.DOWNLOAD, IntegrityError: Failure.INTEGRITY}
    by_kind = next((word for kind, word in words.items() if isinstance(error, kind)), Failure.TOOLCHAIN)
    found = error.failure if isinstance(error, StepError) else by_kind
    return _result(
        plan,
        BuildOutcome.FAILED,
        failure=str(found),
        reason=error.message if isinstance(error, StepError) else f"{found}: {error.message}",
        hint=error.hint or "",
        detail=error.detail if isinstance(error, StepError) else "",
        log=error.log if isinstance(error, StepError) else None,
        exit_code=error.exit_code,
    )


def _of_the_system(error: OSError) -> StepError:
    """A full or forbidden folder as one clear line."""
    place = f"{error.filename}: " if error.filename else ""
    hint = "Name a folder that you may write in with KDRIVER_CACHE."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free space there, or name a folder on another file system in KDRIVER_CACHE or --out."
    return StepError(Failure.SYSTEM, f"{place}{error.strerror or error}", hint=hint)


def _result(plan: BuildPlan, outcome: BuildOutcome, **fields: object) -> BuildResult:
    return replace(BuildResult(plan.kernel.key, plan.kind, outcome), **fields)  # type: ignore[arg-type]


def _tell(bench: Bench, plan: BuildPlan, result: BuildResult) -> BuildResult:
    bench.on_step(plan, str(result.outcome))
    return result


def _sweep(cache: Path) -> None:
    """Remove what killed builds left behind a day ago or longer: workplaces, what is hidden in the other stores but for
    locks, and downloads that nobody resumed."""
    (cache / "work").mkdir(parents=True, exist_ok=True)
    left = [*(cache / "work").iterdir(), *(one for name in _STORES for one in cache.glob(f"{name}/.*"))]
    left += cache.glob("downloads/*/*.part*")
    for path in left:
        with contextlib.suppress(FileNotFoundError):  # another build sweeps, too
            if path.suffix == ".lock" or time.time() - path.lstat().st_mtime <= _STALE_S:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
