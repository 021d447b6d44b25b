"""Compile probes: which variant of each kernel API these headers have, found by compiling tiny files, never by version.

driver_src/kmod/probes/<group>__<variant>.c each become KD_<GROUP>__<VARIANT> in kd_probes.h. Of a group with several
files exactly one must compile; a group of one file is optional. sanity.c must compile, else nothing that the others
say is worth anything. All are built in one `make -k` run per header set, and the result is kept.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.environment import build_environment
from builder.failure import Failure, StepError, relevant_lines
from builder.headers import HeaderTree
from builder.joint import Probe, joint_source, parse_probe, read_errors
from builder.keep import touch
from builder.source import copy_folder, digest_folder
from builder.toolchain import Compiler, kbuild_cc
from kdriver.executors.task import Executor, Task

SANITY = "sanity"
HEADER = "kd_probes.h"
_TIMEOUT_S = 300.0
_LAYOUT = "2"
"""Part of a result's name: raised when probes are compiled or judged in another way."""
_COMMAND = f"{SANITY}.sh"
_JOINT = "kd_joint"
_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the probes found. variants: the stems that compiled, sorted, without sanity."""

    variants: tuple[str, ...]

    def header(self) -> str:
        """kd_probes.h: one macro for each variant."""
        lines = [
            "/* SPDX-License-Identifier: GPL-2.0-only OR MIT */",
            "/* What these kernel headers have: compile probes. */",
        ]
        lines += ["#ifndef KD_PROBES_H", "#define KD_PROBES_H", *(f"#define {macro(stem)} 1" for stem in self.variants)]
        return "\n".join([*lines, "#endif", ""])


def macro(stem: str) -> str:
    """`access_ok__two_args` is KD_ACCESS_OK__TWO_ARGS."""
    return f"KD_{stem.upper()}"


def judge_probes(stems: Iterable[str], compiled: frozenset[str]) -> ProbeResult:
    """Apply the rules of groups. Raises StepError: class toolchain when sanity did not compile, class compile probe
    with every group that has none or several variants."""
    groups: dict[str, list[str]] = {}
    for stem in sorted(stems):
        if stem != SANITY:
            groups.setdefault(stem.partition("__")[0], []).append(stem)
    if SANITY not in compiled:
        raise StepError(
            Failure.TOOLCHAIN,
            "a module without any content does not compile against these headers",
            hint="Read the log: the compiler or the headers are not usable on this machine.",
        )
    problems = []
    for group, members in groups.items():
        there = [stem for stem in members if stem in compiled]
        if len(members) > 1 and len(there) != 1:
            which = f"{' and '.join(there)} compile" if there else f"none of {', '.join(members)} compiles"
            problems.append(f"{group}: {which}")
    if problems:
        raise StepError(
            Failure.PROBE,
            f"exactly one variant of each kernel interface must compile; {'; '.join(problems)}",
            hint="Add the variant of this kernel to driver_src/kmod/probes, or tell the variants apart.",
        )
    return ProbeResult(tuple(sorted(compiled - {SANITY})))


def probe_kbuild(gcc_major: int) -> str:
    """The Kbuild file of a folder of probes: it builds sanity.o, and writes the command of a module's file to a script.

    A wrong prototype is only a warning to older compilers, so the warnings that tell variants apart are errors here;
    gcc before 5 cannot name them one by one. The rule's name makes kbuild take the flags of sanity.o. It is made by
    every kernel's make: `always` was renamed in 5.7. Its rule fails, because nothing is to be linked.
    """
    strict = (
        "-Werror=incompatible-pointer-types -Werror=int-conversion -Werror=implicit-function-declaration"
        if gcc_major >= 5
        else "-Werror"
    )
    command = "cd \"$(CURDIR)\" && exec $(subst ','\\'',$(CC) $(c_flags)) \"$$@\""
    target = f"{SANITY}.command"
    return (
        f"obj-m := {SANITY}.o\nccflags-y := {strict}\nalways := {target}\nalways-y := {target}\n"
        f"$(obj)/{target}:\n\t@printf '%s\\n' '{command}' > $(obj)/{_COMMAND} && false\n"
    )


def sanity_log(log: str) -> str:
    """What the compiler said of sanity.c: kbuild announces each file with a line of its own."""
    _, found, after = log.partition(f"{SANITY}.o\n")
    lines = after.splitlines() if found else log.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith("  CC [M]")), len(lines))
    return "\n".join(lines[:end])


def probe_argv(build_dir: Path, folder: Path, compiler: str) -> list[str]:
    """The make run; -k goes on after the rule that fails."""
    return [
        "make", "-k", "-C", str(build_dir), f"M={folder}", f"CC={compiler}", "KCFLAGS=-g0",
        "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules",
    ]  # fmt: skip


def joint_argv(folder: Path) -> list[str]:
    """The compiler's run for the joint file. Errors of macros are to name the line that uses them."""
    return [
        "sh", f"{folder}/{_COMMAND}", "-ftrack-macro-expansion=0", "-fno-diagnostics-show-caret",
        "-c", "-o", f"{folder}/{_JOINT}.o", f"{folder}/{_JOINT}.c",
    ]  # fmt: skip


def alone_script(folder: Path, stems: Iterable[str]) -> str:
    """A script that compiles some probes alone; those that compile leave an object."""
    compile_one = f'sh "{folder}/{_COMMAND}" -c -o "{folder}/$stem.o" "{folder}/$stem.c"'
    return f"for stem in {' '.join(sorted(stems))}; do {compile_one}; done; true\n"


@dataclass(frozen=True, slots=True)
class _Run:
    """One header set's probing, in a folder of its own."""

    folder: Path
    tree: HeaderTree
    compiler: Compiler
    log: Path
    executor: Executor

    def __call__(self, argv: list[str]) -> bool:
        """Run one command; whether it ended well. Raises StepError when it does not end."""
        task = Task(
            argv=tuple(argv),
            cwd=self.folder,
            log=self.log,
            timeout_s=_TIMEOUT_S,
            reads=(self.tree.root,),
            writes=(self.folder,),
            env=build_environment(),
            toolchain=self.compiler.text,
        )
        completed = self.executor.run(task)
        if completed.timed_out:
            raise StepError(Failure.PROBE, f"{argv[0]} did not end within {_TIMEOUT_S:.0f} s", log=self.log)
        return completed.ok

    def made(self, stem: str) -> bool:
        return (self.folder / f"{stem}.o").is_file()


def find_compiling(run: _Run, stems: Iterable[str], *, one_by_one: bool) -> frozenset[str]:
    """The stems of those probes in the run's folder that compile; none when sanity does not. one_by_one: join none,
    which gives the same answer and is what the joint file is compared with. Raises StepError."""
    (run.folder / "Kbuild").write_text(probe_kbuild(run.compiler.version[0]))
    run(probe_argv(run.tree.build_dir, run.folder, kbuild_cc(run.compiler, run.tree.source_dir)))
    if not run.made(SANITY):
        return frozenset()
    if not (run.folder / _COMMAND).is_file():
        raise StepError(Failure.PROBE, "the kernel's make did not say how it compiles a module", log=run.log)
    probes = [parse_probe(stem, (run.folder / f"{stem}.c").read_text()) for stem in stems if stem != SANITY]
    joined = [probe for probe in probes if probe.joinable and not one_by_one]
    passed, undecided = _compile_joint(run, joined)
    alone = undecided | {probe.stem for probe in probes if probe not in joined}
    if alone:
        script = run.folder / "alone.sh"
        script.write_text(alone_script(run.folder, alone))
        run(["sh", str(script)])
    return frozenset({SANITY, *passed, *(stem for stem in alone if run.made(stem))})


def _compile_joint(run: _Run, joined: list[Probe]) -> tuple[frozenset[str], frozenset[str]]:
    """Which of these compile, and which have to be asked alone."""
    left = {probe.stem: probe for probe in joined}
    undecided: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        if not left:
            break
        (run.folder / f"{_JOINT}.c").write_text(joint_source(list(left.values())))
        begin = run.log.stat().st_size if run.log.exists() else 0
        if run(joint_argv(run.folder)) and run.made(_JOINT):
            return frozenset(left), frozenset(undecided)
        with run.log.open(errors="replace") as printed:
            printed.seek(begin)
            errors = read_errors(printed.read(), left.values())
        # While anything is doubtful, it may be why others fail.
        out = errors.doubtful or errors.sure
        if errors.stray or not out:
            break
        undecided |= errors.doubtful
        left = {stem: probe for stem, probe in left.items() if stem not in out}
    return frozenset(), frozenset({*undecided, *left})


def run_probes(
    probes: Path,
    tree: HeaderTree,
    compiler: Compiler,
    *,
    cache: Path,
    log: Path,
    executor: Executor,
    one_by_one: bool = False,
) -> ProbeResult:
    """Probe a header set, or read what an earlier run found. Raises StepError; a result that breaks the rules is not
    kept. A driver source without probes has an empty result. one_by_one: compile each alone, and keep nothing."""
    stems = sorted(path.stem for path in probes.glob("*.c")) if probes.is_dir() else []
    if not stems:
        return ProbeResult(())
    key = hashlib.sha256("\0".join([_LAYOUT, tree.digest, digest_folder(probes), compiler.text]).encode()).hexdigest()
    kept = cache / f"{key[:32]}.json"
    if kept.is_file() and not one_by_one:
        touch(kept)
        return ProbeResult(tuple(json.loads(kept.read_text())["variants"]))
    cache.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=cache) as scratch:
        folder = Path(scratch) / "probes"
        copy_folder(probes, folder)
        try:
            compiled = find_compiling(_Run(folder, tree, compiler, log, executor), stems, one_by_one=one_by_one)
            result = judge_probes(stems, compiled)
        except StepError as error:
            error.log = log
            if error.failure is Failure.TOOLCHAIN:
                error.detail = relevant_lines(sanity_log(log.read_text(errors="replace")))
            raise
        if not one_by_one:
            fresh = Path(scratch) / "result.json"
            found = {"headers": tree.digest, "compiler": compiler.text, "variants": result.variants}
            fresh.write_text(json.dumps(found))
            fresh.replace(kept)
    return result
