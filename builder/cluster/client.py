"""The side of a cluster that asks: it hands out builds, waits, and keeps what comes back in the store here."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.bench import Bench
from builder.cluster.job import make_job, pack_source, run_job
from builder.failure import Failure, StepError
from builder.plan import BuildPlan
from builder.source import DriverSource
from builder.store import Stored, find_stored, put
from builder.toolchain import load_table
from kdriver.core.artifact import Artifact, DriverKind
from kdriver.core.errors import DownloadError, IntegrityError, KdriverError
from kdriver.core.kernel import FILE
from kdriver.executors.task import StoppedError
from kdriver.version import VERSION

if TYPE_CHECKING:
    from distributed import Client, Future

SLOT = "build"
"""The resource of which a worker has one for each build that it runs at a time."""
BOOT = "boot"
"""The resource of a worker that can boot kernels: as many guests at a time as it has slots. A guest takes a slot, too,
so that a worker never runs more jobs at a time than it was told."""
_NAMED = {SLOT: "a place for a build", BOOT: "QEMU to boot with"}
_CONNECT_S = 10
_LOOK_S = 2.0
_TLS = ("KDRIVER_TLS_CA", "KDRIVER_TLS_CERT", "KDRIVER_TLS_KEY")


class ClusterError(KdriverError):
    """The cluster's scheduler does not answer, or has no worker."""


def security() -> Any:
    """TLS in both directions where KDRIVER_TLS_CA, _CERT and _KEY name its files, else none."""
    from distributed import Security

    ca, cert, key = (os.environ.get(name) for name in _TLS)
    if not (ca and cert and key):
        return Security()
    files = {"cert": cert, "key": key}
    roles = {f"tls_{role}_{part}": file for role in ("client", "scheduler", "worker") for part, file in files.items()}
    return Security(tls_ca_file=ca, require_encryption=True, **roles)


def requirement(plan: BuildPlan, offered: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What a worker must have for a plan: a slot, and the kernel's own compiler, or for eBPF the first clang of the
    table, that any worker has.

    offered: worker to its resources. Without such a worker any one may take it, and choose by itself."""
    names = (plan.kernel.compiler,) if plan.kind is DriverKind.KMOD else load_table().clangs
    there = next((name for name in names if name and any(name in one for one in offered.values())), None)
    return {SLOT: 1} if there is None else {SLOT: 1, there: 1}


def serves(needed: Mapping[str, float], offered: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether any worker has all that is needed. A task that none has would wait for ever, and say nothing."""
    return any(all(one.get(name, 0) >= count for name, count in needed.items()) for one in offered.values())


class Cluster:
    """Builds of one batch on a cluster; may be called from several threads. patience_s: how long a build waits for a
    worker that can take it, once there is none."""

    def __init__(
        self,
        address: str,
        source: DriverSource,
        *,
        force: bool = False,
        mirrors: tuple[str, ...] = (),
        patience_s: float = 60,
    ) -> None:
        self.address = address
        self._source = source
        self._packed, self._digest = pack_source(source)
        self._force = force
        self._mirrors = mirrors
        self._patience_s = patience_s
        self._run = uuid.uuid4().hex[:12]
        self._count = itertools.count()
        self._lock = threading.Lock()
        self._stopped = False
        self._pending: set[Future[Any]] = set()
        self._seen: tuple[float, dict[str, dict[str, float]]] = (0.0, {})
        self._client = _connect(address)

    def slots(self) -> int:
        """How many builds the cluster's workers run at a time. Raises ClusterError when it has no worker."""
        total = int(sum(one.get(SLOT, 0) for one in self.resources().values()))
        if total == 0:
            raise ClusterError(
                f"cluster {self.address}: it has no worker",
                hint=f"Start one: kdriver worker --scheduler {self.address}",
            )
        return total

    def build(self, plan: BuildPlan, bench: Bench) -> tuple[Stored, bool]:
        """As builder.one.build_one, on a worker: the artifact is in the store here when this returns."""
        if any(package.archive == FILE for package in plan.packages):
            raise StepError(
                Failure.WORKER,
                "headers that were named as files are not on the workers",
                hint="Build it with --executor auto.",
            )
        ledger = bench.cache / "cluster-jobs" / f"{self._key(plan)}.json"
        known = None if self._force else _remembered(ledger, bench.store)
        if known is not None:
            return known, False
        answer = self._answer(plan, bench)
        log = bench.log(plan)
        if answer["log"]:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_bytes(answer["log"])
        if answer["record"] is None:
            raise _failure(answer, log)
        record = Artifact.from_json(answer["record"])
        content: bytes = answer["artifact"]
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise IntegrityError(f"{plan.kernel.key} {plan.kind}: the worker's file is not what its record says")
        with tempfile.TemporaryDirectory(prefix="cluster-", dir=bench.cache / "work") as scratch:
            file = Path(scratch) / record.file_name
            file.write_bytes(content)
            stored = put(bench.store, file, record)
        ledger.parent.mkdir(parents=True, exist_ok=True)
        ledger.write_text(json.dumps({"content_key": record.content_key}) + "\n")
        return stored, bool(answer["fresh"])

    def _key(self, plan: BuildPlan) -> str:
        """SHA-256 of what is asked of the cluster. Which compiler its workers have is theirs to know: --force asks
        again."""
        packages = sorted(package.digest for package in plan.packages)
        parts = [VERSION, plan.built_for, plan.twin_of, str(plan.kind), plan.name, self._digest, *packages]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def stop(self) -> None:
        """Take back what has not begun, and end every wait. What runs on a worker ends there and stays in its cache."""
        with self._lock:
            self._stopped = True
            pending = tuple(self._pending)
        for future in pending:
            future.cancel()

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close()

    def _answer(self, plan: BuildPlan, bench: Bench) -> dict[str, Any]:
        needed = requirement(plan, self.resources())
        job = make_job(plan, self._source, self._digest, force=self._force, mirrors=self._mirrors)
        bench.on_step(plan, "on the cluster")
        return self.ask(run_job, job, self._packed, needed=needed)

    def about_source(self) -> tuple[bytes, str]:
        """The driver source as an archive for `builder.cluster.job.unpacked`, and its digest."""
        return self._packed, self._digest

    def ask(
        self, function: Callable[..., dict[str, Any]], *arguments: object, needed: Mapping[str, float]
    ) -> dict[str, Any]:
        """What a function says on a worker that offers what is needed; asked again elsewhere when that worker ends.
        The function's module must be one that a worker can import. Raises StepError (worker) where no worker could do
        it, StoppedError after `stop`, and what the function raises."""
        key = f"kdriver-{self._run}-{next(self._count)}"
        future = self._client.submit(function, *arguments, key=key, resources=dict(needed), pure=False)
        with self._lock:
            self._pending.add(future)
        try:
            return self._wait(future, needed)
        finally:
            with self._lock:
                self._pending.discard(future)
            future.release()

    def _wait(self, future: Future[Any], needed: Mapping[str, float]) -> dict[str, Any]:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        lacking_since: float | None = None
        while True:
            if self._stopped:
                raise StoppedError("the build on the cluster was stopped")
            try:
                answer: dict[str, Any] = future.result(timeout=_LOOK_S)
                return answer
            except TimeoutError:
                lacking = not serves(needed, self.resources())
                lacking_since = (lacking_since or time.monotonic()) if lacking else None
                if lacking_since is not None and time.monotonic() - lacking_since > self._patience_s:
                    future.cancel()
                    raise StepError(
                        Failure.WORKER,
                        f"no worker has {' and '.join(_words(needed))} any more",
                        hint=f"Start one: kdriver worker --scheduler {self.address}",
                    ) from None
            except UnboundLocalError:
                # What distributed's sync() makes of a wait that was cancelled within: the worker that held the answer
                # ended while it was fetched. The scheduler has the task done again, so that the question stands.
                if future.cancelled():
                    raise StoppedError("the build on the cluster was cancelled") from None
                time.sleep(_LOOK_S / 10)
            except KilledWorker as error:
                raise StepError(
                    Failure.WORKER,
                    "every worker that took it ended while it worked on it",
                    hint="Give workers more memory, or fewer jobs at a time (--jobs).",
                ) from error
            except CancelledError as error:
                raise StoppedError("the build on the cluster was cancelled") from error

    def resources(self) -> dict[str, dict[str, float]]:
        """Workers to their resources, not older than a moment."""
        with self._lock:
            if time.monotonic() - self._seen[0] > _LOOK_S:
                workers = self._client.scheduler_info(n_workers=-1)["workers"]
                found = {str(name): dict(one.get("resources") or {}) for name, one in workers.items()}
                self._seen = (time.monotonic(), found)
            return self._seen[1]


def _words(needed: Mapping[str, float]) -> list[str]:
    return [_NAMED.get(name, name) for name in needed]


def _remembered(ledger: Path, store: Path) -> Stored | None:
    """What came back for the same question before, where it is still in the store."""
    try:
        key = str(json.loads(ledger.read_text())["content_key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return find_stored(store, key)


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind where it says nothing: asyncio's time-outs are silent."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "a cluster needs dask.distributed, which is not installed", hint="pip install 'kdriver[farm]'"
        ) from error
    if address.startswith("tls://") and not security().require_encryption:
        raise ClusterError(
            f"cluster {address}: it wants a certificate, and none is named",
            hint=f"Name the files in {', '.join(_TLS)}.",
        )
    try:
        return Client(address, timeout=_CONNECT_S, security=security(), set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"cluster {address}: its scheduler does not answer: {first_line(error)}",
            hint="Start it: kdriver scheduler; its address is tcp://HOST:8786.",
        ) from error


def _failure(answer: Mapping[str, Any], log: Path) -> KdriverError:
    """What a worker said, as the error that a build here would have raised."""
    failure = Failure(answer["failure"]) if answer["failure"] else Failure.WORKER
    fact = str(answer["reason"]).removeprefix(f"{failure}: ")
    hint = str(answer["hint"]) or None
    if failure is Failure.INTEGRITY:
        return IntegrityError(fact, hint=hint)
    if failure is Failure.DOWNLOAD:
        return DownloadError(fact, hint=hint)
    return StepError(failure, fact, hint=hint, log=log if answer["log"] else None, detail=str(answer["detail"]))
