"""What was built for a question before, without unpacking a kernel's headers: the content key that came of it.

A content key is of everything that goes into an artifact, compilers and headers included, and only unpacked headers say
which compiler it is. A batch that goes on where another one stopped would unpack them all for nothing. The question is
what is known beforehand: the source, the packages, how this kdriver builds, and which compilers are here, those of
images by the images' content. A wrong answer is not possible: the artifact that a key names is what its record says,
and another compiler, package or source is another question. A file that served another kernel is no answer for a batch
in which that kernel is not, or nothing is shared. Which compilers workers of a cluster have is not known here.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from builder.bench import Bench
from builder.headers import header_digest
from builder.keep import touch
from builder.plan import BuildPlan
from builder.recipe import LAYOUT
from builder.result import BuildOutcome, BuildResult
from builder.source import digest_source
from builder.store import find_stored
from builder.toolchain import Llvm
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import KdriverError
from kdriver.version import VERSION


class Remembered:
    """The answers of one cache. May be used from several threads. shares: the keys of the kernels that may share with
    one another, none where nothing is shared."""

    def __init__(self, bench: Bench, shares: frozenset[str] = frozenset()) -> None:
        self._bench = bench
        self._shares = shares if len(shares) > 1 else frozenset()
        self._folder = bench.cache / "remembered"
        self._sources: dict[DriverKind, str] = {}

    def find(self, plan: BuildPlan) -> BuildResult | None:
        """The artifact of a plan where it was built before; None where it was not, or is no longer there."""
        if plan.skip or self._bench.force:
            return None
        try:
            file = self._file(plan)
            kept = json.loads(file.read_text())
            stored = find_stored(self._bench.store, str(kept["content_key"]))
        except (OSError, ValueError, KeyError, TypeError, KdriverError):
            return None
        if stored is None or (kept.get("shared") and stored.record.kernel not in self._shares):
            return None
        touch(file)
        outcome = BuildOutcome.SHARED if kept.get("shared") else BuildOutcome.CACHED
        return BuildResult(plan.kernel.key, plan.kind, outcome, artifact=stored.path, record=stored.record)

    def note(self, plan: BuildPlan, result: BuildResult) -> None:
        """Keep what came of a plan; a failure is no answer."""
        if result.record is None or not result.ok:
            return
        try:
            file = self._file(plan)
            file.parent.mkdir(parents=True, exist_ok=True)
            shared = result.outcome is BuildOutcome.SHARED
            file.write_text(json.dumps({"content_key": result.record.content_key, "shared": shared}) + "\n")
        except (OSError, KdriverError):
            return  # the next batch builds it again

    def _file(self, plan: BuildPlan) -> Path:
        """Raises StepError where there is no compiler, EngineError."""
        packages = header_digest(plan.packages) if plan.packages else ""
        parts = [
            VERSION,
            LAYOUT,
            plan.built_for,
            plan.twin_of,
            str(plan.kind),
            plan.name,
            self._source(plan.kind),
            packages,
        ]
        parts.append(self._gccs if plan.kind is DriverKind.KMOD else self._llvm(plan))
        return self._folder / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.json"

    def _source(self, kind: DriverKind) -> str:
        if kind not in self._sources:
            self._sources[kind] = digest_source(self._bench.source, kind, self._bench.generated)
        return self._sources[kind]

    @functools.cached_property
    def _gccs(self) -> str:
        """Every gcc that a module could be compiled with: of this machine, and the images that are there."""
        found = self._bench.toolchains
        here = [compiler.text for compiler in found.local.gccs] if found.local is not None else []
        images = list(found.images.contents()) if found.images is not None else []
        return "\0".join([*here, *images])

    def _llvm(self, plan: BuildPlan) -> str:
        kernel = None if plan.kind is DriverKind.CORE else plan.kernel
        choice = self._bench.toolchains.llvm(kernel, self._bench.source_digest(plan.kind))
        assert isinstance(choice.compiler, Llvm)
        return f"{choice.compiler.clang.text}\0{choice.place.headers}\0{choice.place.image}"
