"""What all builds of one batch share: the cache, the driver source, the compilers, each kernel's headers and probes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.choice import Choice, Toolchains
from builder.failure import Failure, StepError
from builder.header_folder import copy_tree
from builder.headers import HeaderTree, prepare_headers
from builder.plan import BuildPlan
from builder.probes import ProbeResult, run_probes
from builder.source import DriverSource, digest_source
from builder.toolchain import Compiler
from kdriver.core.artifact import DriverKind
from kdriver.core.download import cached
from kdriver.core.kernel import FILE, Kernel, Package
from kdriver.packages import kernel_files
from kernel_index.sources import check_package, package_client, package_urls

StepListener = Callable[[BuildPlan, str], None]
"""Told of each step of each plan, from several threads: `headers`, `layouts` (where a module may be shared), `compile
probes`, `compile`, `check`, and at the end the outcome."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kernel that can be built for: its headers, the toolchain chosen for it, what the compile probes found."""

    tree: HeaderTree
    choice: Choice
    probes: ProbeResult

    @property
    def compiler(self) -> Compiler:
        """The gcc of the choice."""
        assert isinstance(self.choice.compiler, Compiler)
        return self.choice.compiler


class Bench:
    """One batch's workshop. Kernels are prepared once, also when several kinds are built for one at a time."""

    def __init__(
        self,
        cache: Path,
        source: DriverSource,
        generated: Path,
        toolchains: Toolchains,
        *,
        force: bool,
        on_step: StepListener,
        mirrors: Sequence[str] = (),
    ) -> None:
        self.cache = cache
        self.source = source
        self.generated = generated
        self.toolchains = toolchains
        self.force = force
        self.on_step = on_step
        self.mirrors = mirrors
        self._lock = threading.Lock()
        self._kernel_locks: dict[str, threading.Lock] = {}
        self._prepared: dict[str, Prepared | StepError] = {}
        self._digests: dict[DriverKind, str] = {}

    @property
    def store(self) -> Path:
        """Where artifacts are kept, by content key."""
        return self.cache / "artifacts"

    def source_digest(self, kind: DriverKind) -> str:
        """Of all of the driver source that goes into a kind; read once in a batch."""
        if kind not in self._digests:
            self._digests[kind] = digest_source(self.source, kind, self.generated)
        return self._digests[kind]

    def log(self, plan: BuildPlan) -> Path:
        """The log of a plan's compiling; that of the compile probes stands beside it as probes.log."""
        return self.cache / "logs" / plan.built_for / f"{plan.kind}.log"

    def tree(self, plan: BuildPlan) -> HeaderTree:
        """A kernel's headers, downloaded and unpacked when they are not there. Raises what prepare_headers raises."""
        self.on_step(plan, "headers")
        fetch = functools.partial(fetch_package, mirrors=self.mirrors)
        return prepare_headers(plan.kernel, self.cache / "headers", fetch, unpack_package)

    def prepare(self, plan: BuildPlan, tree: HeaderTree) -> Prepared:
        """Choose the compiler and probe the headers. Raises StepError, the same again for the kernel's other kinds."""
        key = plan.kernel.key
        with self._lock:
            lock = self._kernel_locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._prepared:
                try:
                    self._prepared[key] = self._prepare(plan, tree)
                except StepError as error:
                    self._prepared[key] = error
        found = self._prepared[key]
        if isinstance(found, StepError):
            raise found
        return found

    def gcc(self, plan: BuildPlan, tree: HeaderTree) -> Choice:
        """The toolchain for a module. Raises StepError. The kernel's own gcc is taken as it is; of newer ones the first
        that a module without any content compiles with."""
        choices = self.toolchains.gcc(plan.kernel, tree.evidence, tree.needs)
        return choices[0] if choices[0].exact else self.prepare(plan, tree).choice

    def _prepare(self, plan: BuildPlan, tree: HeaderTree) -> Prepared:
        refused: list[str] = []
        first: StepError | None = None
        for choice in self.toolchains.gcc(plan.kernel, tree.evidence, tree.needs):
            try:
                return self._probe(plan, tree, choice)
            except StepError as error:
                if error.failure is not Failure.TOOLCHAIN:
                    raise
                first = first or error
                refused.append(choice.compiler.text if isinstance(choice.compiler, Compiler) else "")
        assert first is not None
        if len(refused) > 1:
            words = ", ".join(refused)
            raise StepError(
                Failure.TOOLCHAIN,
                f"there is none: the headers accept none of {words}",
                hint=first.hint,
                log=first.log,
                detail=first.detail,
            )
        raise first

    def _probe(self, plan: BuildPlan, tree: HeaderTree, choice: Choice) -> Prepared:
        assert isinstance(choice.compiler, Compiler)
        if self.source.foreign is not None:
            return Prepared(tree, choice, ProbeResult(()))
        self.on_step(plan, "compile probes")
        log = self.log(plan).with_name("probes.log")
        executor = choice.place.executor
        probes = run_probes(
            self.source.probes, tree, choice.compiler, cache=self.cache / "probes", log=log, executor=executor
        )
        return Prepared(tree, choice, probes)


def fetch_package(kernel: Kernel, package: Package, mirrors: Sequence[str] = ()) -> Path:
    """A package of a kernel from the cache, or from the archive that the index names. mirrors: as --mirror's values.
    Raises DownloadError, or IntegrityError when the bytes are not what the signed metadata promised. One that somebody
    named is where it is."""
    if package.archive == FILE:
        return Path(package.path)
    http = package_client(kernel, package)
    file = cached(
        package_urls(kernel, package, mirrors), package.digest, package.size_bytes, package.file_name, http=http
    )
    return check_package(kernel, package, file)


def unpack_package(package: Path, into: Path, members: Callable[[str], bool]) -> None:
    """Unpack a package file of either format, or copy from a folder that stands for one.

    Raises as unpack_deb, unpack_rpm and copy_tree."""
    if package.is_dir():
        copy_tree(package, into, members)
    else:
        kernel_files.unpack_package(package, into, members=members)
