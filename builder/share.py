"""Sharing by proof: a module that was built for one kernel serves another one of the same batch when nothing that it
sees of the kernel differs.

The kernel itself checks, when it loads a module with symbol CRCs (CONFIG_MODVERSIONS), that each symbol which the
module imports has the CRC that it was built against, and that the vermagic texts are the same behind their first word:
the release in front is skipped then, and only then (same_magic of kernel/module). That does not cover structures which
the module reads and no imported symbol mentions, so their layouts are compared as well (builder/layouts.py), and the
configuration that inline functions of headers depend on, and the code that clang's front end makes of the module's
sources, in which their macros and inline functions are (builder/module_code.py). Each kernel has its own verdict on a
shared module all the same. What the release says is never asked.

What an eBPF probe shares is its code: builder/code.py.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder.bench import Bench
from builder.code import Codes
from builder.failure import StepError
from builder.headers import HeaderTree
from builder.keep import touch
from builder.layouts import find_layouts, same_layouts
from builder.module_code import find_module_code
from builder.plan import BuildPlan
from builder.recipe import Recipe
from builder.store import Stored, find_stored
from kdriver.inspect.elf import ModuleFacts, read_module
from kdriver.inspect.symvers import compare_symbols, read_symvers

logger = logging.getLogger(__name__)

_LAYOUT = "2"
"""Of a kept proof: raised when more has to be the same than before."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A module of the batch that others may share: built or cached for the kernel of `plan`."""

    plan: BuildPlan
    tree: HeaderTree
    recipe: Recipe
    stored: Stored
    _facts: list[ModuleFacts] = field(default_factory=list)

    @property
    def facts(self) -> ModuleFacts:
        """What the module itself says; read when it is first asked for, which it is not where nothing is to be done."""
        if not self._facts:
            self._facts.append(read_module(self.stored.path))
        return self._facts[0]


@dataclass(slots=True)
class Shares:
    """The offers of one batch; may be used from several threads. kernels: the keys of the batch's kernels."""

    kernels: frozenset[str]
    codes: Codes = field(default_factory=Codes)
    _begun: dict[str, threading.Event] = field(default_factory=dict)
    _offers: list[Offer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def several(self) -> bool:
        """Whether there is anybody to share with: a kernel alone has drivers of its own."""
        return len(self.kernels) > 1

    def offer(self, plan: BuildPlan, tree: HeaderTree, recipe: Recipe, stored: Stored) -> None:
        """Let the batch's other kernels share this module; one without CRCs serves nobody else."""
        if not tree.evidence.modversions or plan.twin_of or not self.several:
            return
        made = Offer(plan, tree, recipe, stored)
        with self._lock:
            self._offers.append(made)

    def begin(self, tree: HeaderTree, recipe: Recipe) -> Callable[[], None]:
        """Wait for a build of this batch that this one can share for sure when it is done, as far as symbols go: the
        kernels export the same ones. Else let others wait for this one until what is returned is called."""
        text = (tree.build_dir / "Module.symvers").read_bytes()
        alike = hashlib.sha256(text + "\0".join(_made_of(recipe)).encode()).hexdigest()
        with self._lock:
            earlier = self._begun.get(alike)
            mine = self._begun.setdefault(alike, threading.Event())
        if earlier is None:
            return mine.set
        earlier.wait()
        return lambda: None

    def find(self, plan: BuildPlan, tree: HeaderTree, recipe: Recipe, bench: Bench) -> Stored | None:
        """A module of another kernel of the batch that is proved to serve this one; None when there is none. The proof
        is kept: its inputs are all in the content key of what would have been built. Built again by force is only what
        this batch built."""
        if not tree.evidence.modversions or plan.twin_of or not self.several:
            return None
        kept = bench.cache / "shares" / f"{recipe.key}.json"
        known = None if bench.force else _read(kept)
        if known and known["kernel"] in self.kernels:
            stored = find_stored(bench.store, known["content_key"])
            if stored is not None:
                touch(kept)
                return stored
        with self._lock:
            offers = tuple(self._offers)
        exported: dict[str, int] | None = None
        for offer in offers:
            if _made_of(offer.recipe) != _made_of(recipe) or not offer.tree.build_dir.is_dir():
                continue  # made of something else, or its headers have left the cache since
            exported = read_symvers(tree.build_dir / "Module.symvers") if exported is None else exported
            if compare_symbols(offer.facts, exported) or _differ(plan, tree, offer, bench):
                continue
            kept.parent.mkdir(parents=True, exist_ok=True)
            proof = {"layout": _LAYOUT, "kernel": offer.plan.kernel.key, "content_key": offer.recipe.key}
            _write(kept, json.dumps(proof) + "\n")
            return offer.stored
        return None


def _made_of(recipe: Recipe) -> tuple[str, ...]:
    """What two modules that can share have in common besides the headers: the compiler and the source."""
    return (recipe.compiler, *(entry.sha256 for entry in recipe.inputs if entry.name == "driver source"))


def _differ(plan: BuildPlan, tree: HeaderTree, offer: Offer, bench: Bench) -> str:
    """What the layouts, flags, configuration and code say against sharing. Without clang nothing is proved."""
    try:
        choice = bench.toolchains.llvm(plan.kernel)
        folder = bench.cache / "layouts"
        log = bench.log(plan).with_name("layouts.log")
        log.unlink(missing_ok=True)
        mine = find_layouts(tree, bench.source, choice, folder, log)
        theirs = find_layouts(offer.tree, bench.source, choice, folder, log)
        # What the compiled module says counts more than what another compiler makes of the headers.
        if theirs.vermagic != offer.facts.vermagic:
            return "the module's vermagic is not what its headers say"
        if differs := same_layouts(mine, theirs):
            return differs
        codes = [
            find_module_code(
                one_tree,
                bench.source,
                bench.generated,
                bench.prepare(one_plan, one_tree).probes,
                choice,
                name=one_plan.name,
                cache=folder,
                log=log,
            )
            for one_plan, one_tree in ((plan, tree), (offer.plan, offer.tree))
        ]
        return codes_differ(*codes)
    except StepError as error:
        logger.warning("%s: nothing can be shared with it: %s", plan.kernel.key, error.message)
        return error.message
    except OSError as error:  # a batch takes headers out that none of its kernels needs any more
        return str(error)


def codes_differ(one: str, other: str) -> str:
    """What two digests of builder.module_code say against sharing. Of what clang does not compile nothing is known, and
    nothing is no proof."""
    if not one or not other:
        return "clang does not compile the module, so its macros and inline functions were not compared"
    return "" if one == other else "macros or inline functions differ"


def _write(path: Path, text: str) -> None:
    """Put a file there as a whole: other builds may read it now."""
    handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as out:
        out.write(text)
    Path(fresh).replace(path)


def _read(path: Path) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(path.read_text())
        return found if found["layout"] == _LAYOUT and {"kernel", "content_key"} <= found.keys() else None
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
