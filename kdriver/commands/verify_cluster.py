"""`kdriver verify` on a cluster: drivers are built and kernels are booted on workers, and records come back here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.cluster.client import BOOT, SLOT, Cluster, ClusterError, first_line, serves
from kdriver.commands.verify_batch import targets_of
from kdriver.commands.verify_job import make_boot_job, read_answer, run_boot_job
from kdriver.core.artifact import Artifact
from kdriver.core.errors import KdriverError, VerifyError
from kdriver.core.kernel import Kernel
from kdriver.executors.task import StoppedError

if TYPE_CHECKING:
    from builder.source import DriverSource
    from kdriver.commands.verify_run import Request
    from kdriver.commands.verify_targets import Target
    from kdriver.verifier.run import Bench, Verification, Verified

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def targets_on(
    address: str, kernels: Sequence[Kernel], source: DriverSource, request: Request
) -> Iterator[tuple[tuple[Target, ...], int]]:
    """The kernels as targets of a cluster, and how many it works on at a time. Raises ClusterError."""
    cluster = Cluster(address, source, mirrors=request.mirrors)
    try:
        slots = cluster.slots()
        if not serves({SLOT: 1, BOOT: 1}, cluster.resources()):
            raise ClusterError(
                f"cluster {address}: none of its workers has QEMU to boot with",
                hint="Install it on a worker's machine (Debian: apt install qemu-system-x86), and start that worker "
                "again.",
            )
        known = {kernel.key: kernel for kernel in kernels}
        booted = Booting(cluster, known, request.mirrors)
        with targets_of(kernels, source, request, cluster) as targets:
            yield tuple(replace(one, fetch=lambda: None, boot=booted.boot) for one in targets), slots
    finally:
        cluster.close()


class Booting:
    """Boots on the workers of a cluster."""

    def __init__(self, cluster: Cluster, kernels: dict[str, Kernel], mirrors: Sequence[str]) -> None:
        self._cluster = cluster
        self._kernels = kernels
        self._mirrors = mirrors

    def boot(self, verification: Verification, bench: Bench) -> tuple[Verified, ...]:
        """As verify_kernel, on a worker that has QEMU; where none could, nothing is verified, with the reason. Raises
        StoppedError when the cluster is left."""
        from kdriver.verifier.run import every_kind, none_verified

        if not verification.drivers:
            return every_kind(verification, [])
        packed, digest = self._cluster.about_source()
        kernel = self._kernels[verification.kernel]
        bench.on_stage(verification.kernel, "on the cluster")
        try:
            job = make_boot_job(
                kernel, verification, _records(verification), bench, source=digest, mirrors=self._mirrors
            )
            answer = self._cluster.ask(run_boot_job, job, packed, needed={SLOT: 1, BOOT: 1})
            found = read_answer(answer, verification.kernel)
        except StoppedError:
            raise
        except KdriverError as error:
            found = none_verified(verification, error.message, error)
        except Exception as error:  # whatever a worker or the way to it did must not stop the batch
            logger.info("%s", verification.kernel, exc_info=True)
            fault = VerifyError(f"cluster: {first_line(error)}", hint="With -v its traceback is told.")
            found = none_verified(verification, fault.message, fault)
        return every_kind(verification, found)


def _records(verification: Verification) -> dict[str, Artifact]:
    """The records of a verification's drivers, by their digests: each stands beside its file in the store."""
    from kdriver.verifier.artifacts import find_artifacts

    folders = {driver.path.parent for driver in verification.drivers}
    found = [one for folder in sorted(folders) for one in find_artifacts(folder)]
    return {one.record.sha256: one.record for one in found}
