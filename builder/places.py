"""Where compilers are: on this machine, and in the build images of its container engine. Each says what it has."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from builder.kinds.core import headers_digest
from builder.toolchain import Compiler, Llvm, find_gccs, find_llvm, load_table
from kdriver.executors.engine import Engine
from kdriver.executors.local import LocalExecutor
from kdriver.executors.task import Executor
from kernel_index.table import DistroRow

if TYPE_CHECKING:
    from builder.images.build import MadeImage

THIS_MACHINE = "this machine"


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to compile. name: for a person. image: its content's id, empty for this machine. libraries: what its
    dynamic linker finds, empty where that is not known. pahole: its version, empty for none. headers: digest of the
    system headers that eBPF objects include, empty for none."""

    name: str
    executor: Executor
    libc: tuple[int, int]
    gccs: tuple[Compiler, ...] = ()
    llvms: tuple[Llvm, ...] = ()
    libraries: frozenset[str] = frozenset()
    pahole: str = ""
    headers: str = ""
    image: str = ""

    @property
    def is_local(self) -> bool:
        """Whether tasks are processes of this machine."""
        return not self.image

    def llvm(self, name: str) -> Llvm | None:
        """The LLVM of a place in a container by the name of its clang; None where it has none. On this machine
        builder.toolchain.find_llvm says what is missing."""
        return next((one for one in self.llvms if Path(one.clang.path).name == name), None)


def local_place(executor: Executor | None = None) -> Place:
    """This machine. executor: what runs tasks there (None: a new one)."""
    executor = executor or LocalExecutor()
    return Place(THIS_MACHINE, executor, executor.libc(), find_gccs(), (), _local_libraries(), "", headers_digest(), "")


def local_llvm(name: str) -> Llvm:
    """LLVM of this machine. Raises StepError (toolchain) naming what is missing."""
    return find_llvm(name)


class ImagePlaces:
    """The build images of an engine, as places; each is asked what it holds when it is first wanted.

    A build image is an image that `kdriver images build` or `import` called current. find: looks for the engine, when
    it is first needed: most batches need none. May be used from several threads.
    """

    def __init__(self, find: Callable[[], Engine | None], rows: Sequence[DistroRow], cache: Path) -> None:
        self._find = find
        self._looked = False
        self._engine: Engine | None = None
        self._rows = rows
        self._cache = cache / "toolchains"
        self._lock = threading.RLock()
        self._images: dict[str, MadeImage] | None = None
        self._places: dict[str, Place] = {}

    def engine(self) -> Engine | None:
        """The engine, None when there is none. Raises EngineError when one was named that does not answer."""
        with self._lock:
            if not self._looked:
                self._engine = self._find()
                self._looked = True
            return self._engine

    def available(self) -> bool:
        """Whether there is an engine."""
        return self.engine() is not None

    def names(self) -> tuple[str, ...]:
        """The images that are there, in the order of the table. Raises EngineError."""
        return tuple(self._there())

    def contents(self) -> tuple[str, ...]:
        """The digests of their content, in the same order. Raises EngineError."""
        return tuple(image.id for image in self._there().values())

    def place(self, name: str) -> Place | None:
        """The image of that name, None when the engine has none. Raises EngineError, and StepError when it does not
        say what it holds."""
        from builder.images.probe import probe_image
        from kdriver.executors.container import ContainerExecutor

        engine, image = self.engine(), self._there().get(name)
        if engine is None or image is None:
            return None
        with self._lock:
            if name not in self._places:
                facts = probe_image(engine, image.id, name, cache=self._cache, mcpu=load_table().mcpu)
                executor = ContainerExecutor(engine, image.id, facts.libc)
                self._places[name] = Place(
                    f"image {name}", executor, facts.libc, facts.gccs, facts.llvms, frozenset(facts.libraries),
                    facts.pahole, facts.headers, image.id,
                )  # fmt: skip
            return self._places[name]

    def executors(self) -> Iterator[Executor]:
        """Those of the places that were wanted so far."""
        with self._lock:
            yield from [place.executor for place in self._places.values()]

    def _there(self) -> dict[str, MadeImage]:
        from builder.images.build import list_images
        from builder.images.table import image_specs
        from kdriver.executors.container import prune_containers

        with self._lock:
            engine = self.engine()
            if engine is None:
                return {}
            if self._images is None:
                client = engine.connect()
                try:
                    prune_containers(client)
                    self._images = list_images(client, image_specs(self._rows))
                finally:
                    client.close()
            return self._images


@lru_cache(maxsize=1)
def _local_libraries() -> frozenset[str]:
    """What the dynamic linker of this machine finds, empty when it does not say."""
    try:
        said = subprocess.run(
            ["ldconfig", "-p"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={"LC_ALL": "C", "PATH": f"{os.environ.get('PATH', os.defpath)}:/sbin:/usr/sbin"},
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(re.findall(r"^\s+(\S+) \(libc6,x86-64", said, re.M))
