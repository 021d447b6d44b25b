"""The toolchain of each build: which compiler, in which place, and why that one. Exact, else the nearest newer that
the headers accept, else none; never one that was not asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from builder.clang_verdicts import refused_clangs
from builder.evidence import Evidence, Needs
from builder.failure import Failure, StepError
from builder.images.table import image_name, image_specs, why_not
from builder.places import ImagePlaces, Place, local_llvm, local_place
from builder.toolchain import CLANG_VARIABLE, Compiler, Llvm, clang_names, fitting_gccs, gcc_name, is_own, load_table
from kdriver.core.artifact import Input
from kdriver.core.errors import ConfigError
from kdriver.core.kernel import Kernel
from kdriver.executors.engine import find_engine, require_engine
from kdriver.executors.task import Executor
from kernel_index.table import DistroRow
from kernel_index.table import load_table as load_rows


class ExecutorName(StrEnum):
    """Where builds may run. auto: on this machine where it has the very toolchain, else in an image that has it, else
    with the nearest newer compiler that any of them has."""

    AUTO = "auto"
    LOCAL = "local"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Choice:
    """A toolchain for one build. exact: it is of the release that built the kernel. why: one line."""

    place: Place
    compiler: Compiler | Llvm
    exact: bool
    why: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The image that it compiles in, for the artifact's record; none on this machine. It is no part of the content
        key: the same compiler makes the same bytes anywhere."""
        digest = self.place.image.removeprefix("sha256:")
        return (Input(self.place.name, digest),) if digest else ()


class Images(Protocol):
    """Build images as places: ImagePlaces."""

    def available(self) -> bool:
        """Whether there is an engine that could have any."""
        ...

    def names(self) -> tuple[str, ...]:
        """The images that are there."""
        ...

    def contents(self) -> tuple[str, ...]:
        """What names the content of each of them, in the same order."""
        ...

    def place(self, name: str) -> Place | None:
        """One of them, None when it is not there."""
        ...

    def executors(self) -> Iterable[Executor]:
        """What was used so far."""
        ...


@dataclass(slots=True)
class Toolchains:
    """All places of a batch. local: None where builds must run in containers. images: None where they must run here.
    rows: the table of distribution releases."""

    local: Place | None
    images: Images | None = None
    rows: Sequence[DistroRow] = ()
    cache: Path | None = None
    mode: ExecutorName = ExecutorName.LOCAL

    def gcc(self, kernel: Kernel, evidence: Evidence, needs: Needs) -> tuple[Choice, ...]:
        """The toolchains that can build modules for a kernel, best first: those of the kernel's own gcc, else newer
        ones, of which the headers have the last word.

        Raises StepError: class C library where a compiler is there and only the C library is too old, else toolchain.
        """
        if evidence.gcc == (0, 0):
            raise StepError(
                Failure.TOOLCHAIN,
                f"the kernel was built with {evidence.compiler}; kdriver builds modules for kernels of gcc only",
                hint="Use --kind core for this kernel.",
            )
        found: list[tuple[tuple[int, ...], Choice]] = []
        obstacles: list[StepError] = []
        for order, place in enumerate(self._places(kernel)):
            obstacle = _obstacle(place, evidence, needs, self._hint(kernel))
            if obstacle is not None:
                obstacles.append(obstacle)
                continue
            for rank, compiler in enumerate(_usable(place, evidence, needs)):
                exact = is_own(evidence.gcc, compiler)
                distance = compiler.version[0] - evidence.gcc[0]
                choice = Choice(place, compiler, exact, _reason(evidence, needs, compiler, place, exact=exact))
                if exact:
                    return (choice,)
                found.append(((distance, order, rank), choice))
        if found:
            return tuple(choice for _, choice in sorted(found, key=lambda one: one[0]))
        if obstacles:
            raise obstacles[0]
        raise self._no_gcc(kernel, evidence, needs)

    def llvm(self, kernel: Kernel | None, driver: str = "") -> Choice:
        """The LLVM for a kernel's eBPF object, or for the CO-RE object (None): the first in the order of the table and
        of what verdicts say that any place has. driver: digest of the driver source, whose verdicts alone count; all
        do without it. Raises StepError (toolchain)."""
        release = "" if kernel is None else kernel.release
        refused = refused_clangs(kernel.key, self.cache, driver) if kernel is not None and self.cache else {}
        names = clang_names(release, load_table(), os.environ.get(CLANG_VARIABLE), refused)
        missing: StepError | None = None
        for name in names:
            why = _llvm_reason(name, names, refused)
            if self.local is not None:
                try:
                    return Choice(self.local, local_llvm(name), True, f"{why}, on {self.local.name}")
                except StepError as error:
                    missing = missing or error
            place = self.images.place(name) if self.images is not None else None
            llvm = place.llvm(name) if place is not None else None
            if place is not None and llvm is not None:
                return Choice(place, llvm, True, f"{why}, in {place.name}")
        if missing is not None and not self._has_engine():
            raise missing
        raise StepError(
            Failure.TOOLCHAIN,
            f"there is none: {' or '.join(names)} is neither here nor in an image",
            hint=f"Make its image: kdriver images build {names[0]}",
        )

    def stop(self) -> None:
        """Stop what runs in any place and refuse what comes."""
        executors: list[Executor] = [self.local.executor] if self.local is not None else []
        executors += self.images.executors() if self.images is not None else []
        for executor in executors:
            executor.stop()

    def _places(self, kernel: Kernel) -> Iterator[Place]:
        """This machine, the image of the kernel's own release, then the other images of releases."""
        if self.local is not None:
            yield self.local
        if self.images is None:
            return
        own = self._own_image(kernel)
        names = [name for name in self.images.names() if name != own and not name.startswith("clang-")]
        for name in (own, *names) if own else names:
            place = self.images.place(name)
            if place is not None:
                yield place

    def _own_image(self, kernel: Kernel) -> str:
        row = next((row for row in self.rows if row.id == kernel.distro_release), None)
        return image_name(row) if row is not None else ""

    def _hint(self, kernel: Kernel) -> str:
        """What to do when nothing that is there fits."""
        own = self._own_image(kernel)
        row = next((row for row in self.rows if row.id == kernel.distro_release), None)
        if not own:
            return f"No image builds for {kernel.distro_release}: {why_not(row)}." if row is not None else ""
        make = f"kdriver images build {own}"
        if self.mode is ExecutorName.LOCAL:
            return f"Build in a container: {make}, then --executor auto."
        return f"Make its image: {make}" if self._has_engine() else f"Start docker or podman, then: {make}"

    def _has_engine(self) -> bool:
        return self.images is not None and self.images.available()

    def _no_gcc(self, kernel: Kernel, evidence: Evidence, needs: Needs) -> StepError:
        name = gcc_name(evidence.gcc)
        if not self._has_engine() and self.local is not None and not needs.plugins:
            install = f"apt-get install {name}"
            own = self._hint(kernel)
            more = f", or {own[0].lower()}{own[1:]}" if own else ""
            return StepError(
                Failure.TOOLCHAIN,
                f"compiler {name} is missing, and no newer gcc is installed",
                hint=f"{install}{more}",
            )
        where = "neither here nor in an image" if self.local is not None else "in no image"
        wanted = f"{name} itself, for its plugins ({needs.plugins[0]})," if needs.plugins else f"{name} or a newer gcc"
        return StepError(
            Failure.TOOLCHAIN,
            f"there is none: {wanted} is {where}",
            hint=self._hint(kernel) or f"apt-get install {name}",
        )


def make_toolchains(name: ExecutorName, cache: Path, *, executor: Executor | None = None) -> Toolchains:
    """The places that `--executor` means. executor: of this machine (None: a new one). Raises EngineError when it must
    be a container and there is no engine, ConfigError."""
    rows = load_rows()
    images = None
    if name is ExecutorName.CONTAINER:
        engine = require_engine()
        images = ImagePlaces(lambda: engine, rows, cache)
        if not images.names():
            known = [spec.name for spec in image_specs(rows)]
            raise ConfigError(
                f"{engine}: it has none of kdriver's {len(known)} build images",
                hint="Make one: kdriver images build debian12",
            )
    elif name is ExecutorName.AUTO:
        images = ImagePlaces(find_engine, rows, cache)
    local = None if name is ExecutorName.CONTAINER else local_place(executor)
    return Toolchains(local, images, rows, cache, name)


def _obstacle(place: Place, evidence: Evidence, needs: Needs, hint: str) -> StepError | None:
    """Why the headers' host tools do not run in a place, None when they do."""
    tool = Path(evidence.glibc_tool).name
    if evidence.glibc > place.libc:
        has = f"{place.libc[0]}.{place.libc[1]}" if place.libc != (0, 0) else "no glibc"
        wanted = f"{evidence.glibc[0]}.{evidence.glibc[1]}"
        return StepError(
            Failure.LIBC,
            f"{tool} of the kernel's headers needs glibc {wanted}, {place.name} has {has}",
            hint=hint or None,
        )
    missing = [name for name in needs.libraries if place.libraries and name not in place.libraries]
    if missing:
        return StepError(
            Failure.TOOLCHAIN,
            f"the host tools of the kernel's headers need {', '.join(missing)}, which {place.name} does not have",
            hint=hint or None,
        )
    return None


def _usable(place: Place, evidence: Evidence, needs: Needs) -> tuple[Compiler, ...]:
    """The compilers of a place for a kernel, best first; where the headers have gcc plugins, only the very one."""
    fitting = fitting_gccs(evidence.gcc, place.gccs)
    return tuple(one for one in fitting if one.version == evidence.gcc) if needs.plugins else fitting


def _reason(evidence: Evidence, needs: Needs, compiler: Compiler, place: Place, *, exact: bool) -> str:
    own = gcc_name(evidence.gcc)
    what = f"{own} built the kernel" if exact else f"{own} built the kernel and is nowhere; the nearest newer gcc"
    glibc = f", glibc {evidence.glibc[0]}.{evidence.glibc[1]} or newer" if evidence.glibc != (0, 0) else ""
    libraries = f", {', '.join(needs.libraries)}" if needs.libraries else ""
    del compiler
    return f"{what}{glibc}{libraries}, {'on' if place.is_local else 'in'} {place.name}"


def _llvm_reason(name: str, names: Iterable[str], refused: dict[str, str]) -> str:
    if os.environ.get(CLANG_VARIABLE):
        return f"{CLANG_VARIABLE} names {name}"
    before = [f"{clang} was refused ({why})" for clang, why in refused.items()]
    if before and name not in refused:
        return f"{name}, because {'; '.join(before)}"
    first = next(iter(names), name)
    return f"{name} is the first of the table" if name == first else f"{name}, because {first} is not there"
