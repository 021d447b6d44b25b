"""One build: from a plan to an artifact in the store, through compiling and every check."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from builder import checks
from builder.bench import Bench, Prepared
from builder.choice import Choice
from builder.code import Codes, Twin, code_digest
from builder.evidence import require_symvers
from builder.failure import Failure, StepError
from builder.foreign import ForeignDriver
from builder.headers import HeaderTree
from builder.kinds.bpf import back_words, build_bpf, front_text, run_back, run_front, with_release
from builder.kinds.core import build_core
from builder.kinds.foreign import Places, build_foreign
from builder.kinds.kmod import build_kmod
from builder.kinds.step import Workplace
from builder.plan import BuildPlan
from builder.recipe import LAYOUT, Recipe, make_recipe
from builder.result import BuildOutcome
from builder.share import Shares
from builder.source import DriverSource, copy_source, digest_source
from builder.store import Stored, find_stored, put
from builder.toolchain import Compiler, Llvm, load_table
from kdriver.core.artifact import Artifact, DriverKind, Input
from kdriver.core.provenance import builder_id
from kdriver.inspect.elf import read_module
from kdriver.inspect.symvers import read_symvers


def build_one(plan: BuildPlan, bench: Bench, shares: Shares | None = None) -> tuple[Stored, BuildOutcome]:
    """The artifact of a plan, and how it came: built now, cached, or shared. shares: the modules of the batch that may
    serve other kernels (None: each kernel has its own).

    Raises StepError for everything that can be wrong with compilers, headers, driver source and result, DownloadError
    and IntegrityError for packages. What is in the store passed all checks; a failed build leaves nothing there.
    """
    tree = None if plan.kind is DriverKind.CORE else bench.tree(plan)
    if plan.kind is DriverKind.KMOD and tree is not None:
        require_symvers(tree.build_dir)
        choice = bench.gcc(plan, tree)
    else:
        choice = bench.toolchains.llvm(None if tree is None else plan.kernel, bench.source_digest(plan.kind))
    recipe = make_recipe(
        plan,
        bench.source,
        bench.generated,
        tree=tree,
        compiler=choice.compiler,
        headers=choice.place.headers,
        source_digest=bench.source_digest(plan.kind),
    )
    stored = None if bench.force else find_stored(bench.store, recipe.key)
    if plan.kind is not DriverKind.KMOD or bench.source.foreign is not None or tree is None or shares is None:
        if stored:
            return stored, BuildOutcome.CACHED
        stored = _make(plan, bench, recipe, choice, tree, shares)
        return stored, BuildOutcome.SHARED if stored.record.code_of else BuildOutcome.BUILT
    if stored is not None:
        shares.offer(plan, tree, recipe, stored)
        return stored, BuildOutcome.CACHED
    done = shares.begin(tree, recipe)
    try:
        shared = shares.find(plan, tree, recipe, bench)
        if shared is not None:
            return shared, BuildOutcome.SHARED
        stored = _make(plan, bench, recipe, choice, tree)
        shares.offer(plan, tree, recipe, stored)
        return stored, BuildOutcome.BUILT
    finally:
        done()


def _make(
    plan: BuildPlan,
    bench: Bench,
    recipe: Recipe,
    choice: Choice,
    tree: HeaderTree | None,
    shares: Shares | None = None,
) -> Stored:
    prepared = None if tree is None else bench.prepare(plan, tree)
    return _build(plan, bench, recipe, choice, prepared, shares)


def _build(
    plan: BuildPlan,
    bench: Bench,
    recipe: Recipe,
    choice: Choice,
    prepared: Prepared | None,
    shares: Shares | None,
) -> Stored:
    started = time.monotonic()
    log = bench.log(plan)
    log.unlink(missing_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"{plan.kind}-", dir=bench.cache / "work"))
    try:
        bench.on_step(plan, "compile")
        copy_source(bench.source, plan.kind, bench.generated, root)
        hidden = () if prepared is None else (prepared.tree.root / "usr" / "src",)
        work = Workplace(root, log, choice.place.executor, recipe.compiler, hidden)

        def finish(file: Path, twin: Twin | None = None) -> Stored:
            bench.on_step(plan, "check")
            vermagic = _check(plan, bench, file, prepared, work)
            record = _record(plan, bench, recipe, file.read_bytes(), time.monotonic() - started, vermagic)
            inputs = (*record.inputs, *choice.inputs)
            if twin is not None:
                made_of = Input(f"eBPF object of {twin.kernel}", twin.stored.record.sha256)
                record = replace(record, code_of=twin.kernel, seconds=twin.seconds)
                inputs = (*inputs, made_of)
            return put(bench.store, file, replace(record, inputs=inputs))

        if shares is not None and shares.several and plan.kind is DriverKind.BPF and bench.source.foreign is None:
            assert prepared is not None and isinstance(choice.compiler, Llvm)
            return _share_code(plan, bench, work, choice.compiler, prepared, shares.codes, finish)
        return finish(_compile(plan, bench, work, choice.compiler, prepared))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _share_code(
    plan: BuildPlan,
    bench: Bench,
    work: Workplace,
    llvm: Llvm,
    prepared: Prepared,
    codes: Codes,
    finish: Callable[[Path, Twin | None], Stored],
) -> Stored:
    """An eBPF object: the front end's code tells whether another kernel's object is the same but for the release."""
    front = run_front(work, prepared.tree, prepared.probes, llvm, plan.name)
    of_source = digest_source(bench.source, plan.kind, bench.generated)
    digest = code_digest(front_text(work, llvm, front), *made_with(llvm), of_source, plan.name)
    with codes.held(digest):
        twin = codes.find(bench.cache, digest, force=bench.force)
        if twin is not None:
            out = work.root / plan.kind.file_name
            release = twin.stored.record.release
            out.write_bytes(with_release(twin.stored.path.read_bytes(), release, plan.kernel.release))
            return finish(out, twin)
        stored = finish(run_back(work, llvm, front, prepared.tree.evidence.release), None)
        codes.keep(bench.cache, digest, stored)
        return stored


def made_with(llvm: Llvm) -> tuple[str, ...]:
    """What makes an object of the front end's code: the compilers, what they are told, and how kdriver goes about it.
    An object of another kdriver that did it in another way is another one."""
    return (LAYOUT, llvm.clang.text, llvm.mcpu, *back_words(llvm))


def _compile(
    plan: BuildPlan, bench: Bench, work: Workplace, compiler: Compiler | Llvm, prepared: Prepared | None
) -> Path:
    foreign = bench.source.foreign
    part = foreign.part(plan.kind) if foreign is not None else None
    if foreign is not None and part is not None:
        places = Places(work.root, prepared.tree if prepared is not None else None, compiler)
        return build_foreign(work, foreign, part, places)
    if prepared is None:
        assert isinstance(compiler, Llvm)
        return build_core(work, compiler, plan.name)
    if isinstance(compiler, Llvm):
        return build_bpf(work, prepared.tree, prepared.probes, compiler, plan.name)
    return build_kmod(work, prepared.tree, prepared.probes, compiler, plan.name)


def _check(plan: BuildPlan, bench: Bench, file: Path, prepared: Prepared | None, work: Workplace) -> str:
    """Every check of the kind; the module's vermagic, empty for the others. Raises StepError with all that is wrong, of
    class symbol where nothing but symbols is."""
    if bench.source.foreign is not None:
        return _check_foreign(plan, bench.source.foreign, file, prepared, work)
    printed = work.log.read_text(errors="replace")
    warnings = checks.find_warnings(printed, plan.kind, load_table().harmless)
    problems = [f"the compiler warned: {work.shorten(line)}" for line in warnings[:1]]
    if len(warnings) > 1:
        problems.append(f"and {len(warnings) - 1} more warnings")
    header = bench.generated / "kd_programs.h"
    programs = checks.rendered_programs(header.read_text()) if header.is_file() else ()
    vermagic = ""
    symbols: list[str] = []
    if prepared is None:
        problems += checks.check_core(file, programs)
    elif plan.kind is DriverKind.BPF:
        problems += checks.check_bpf(file, plan.kernel.release, programs)
    else:
        module = read_module(file)
        vermagic = module.vermagic
        symbols = checks.check_symbols(module, read_symvers(prepared.tree.build_dir / "Module.symvers"))
        problems += checks.check_module(
            module,
            release=plan.kernel.release,
            modversions=prepared.tree.evidence.modversions,
            driver=bench.source.version,
            name=plan.name,
        )
    _refuse(problems, symbols, "Read the log; the driver source does not fit.", work.log)
    return vermagic


def _refuse(problems: list[str], symbols: list[str], hint: str, log: Path) -> None:
    """Raise what is wrong: class symbol where nothing but symbols is, else check."""
    if problems or symbols:
        failure = Failure.CHECK if problems else Failure.SYMBOL
        raise StepError(failure, "; ".join(problems + symbols), hint=hint, log=log)


def _check_foreign(
    plan: BuildPlan, driver: ForeignDriver, file: Path, prepared: Prepared | None, work: Workplace
) -> str:
    """What must hold of any driver. Warnings, versions and licences are its authors' affair."""
    vermagic = ""
    symbols: list[str] = []
    if prepared is not None and plan.kind is DriverKind.KMOD:
        module = read_module(file)
        vermagic = module.vermagic
        symbols = checks.check_symbols(module, read_symvers(prepared.tree.build_dir / "Module.symvers"))
        problems = checks.check_fit(
            module,
            release=plan.kernel.release,
            modversions=prepared.tree.evidence.modversions,
            name=driver.module_name,
        )
    else:
        problems = checks.check_programs(file)
    _refuse(problems, symbols, "Read the log and driver.toml.", work.log)
    return vermagic


def _record(plan: BuildPlan, bench: Bench, recipe: Recipe, content: bytes, seconds: float, vermagic: str) -> Artifact:
    return Artifact(
        kernel=plan.built_for,
        release="" if plan.kind is DriverKind.CORE else plan.kernel.release,
        kind=plan.kind,
        name=plan.name,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        driver=bench.source.version,
        compiler=recipe.compiler,
        flags=recipe.flags,
        inputs=recipe.inputs,
        content_key=recipe.key,
        seconds=round(seconds, 2),
        built_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        vermagic=vermagic,
        twin_of=plan.twin_of,
        file=_file_name(plan, bench.source),
        builder=builder_id(),
    )


def _file_name(plan: BuildPlan, source: DriverSource) -> str:
    part = source.foreign.part(plan.kind) if source.foreign is not None else None
    return Path(part.file).name if part is not None else ""
