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
from builder.keep import touch
from builder.source import copy_folder, digest_folder
from builder.toolchain import Compiler, kbuild_cc
from kdriver.executors.task import Executor, Task

SANITY = "sanity"
HEADER = "kd_probes.h"
_TIMEOUT_S = 300.0
_LAYOUT = "1"
"""Part of a result's name: raised when probes are compiled or judged in another way."""


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


def probe_kbuild(stems: Iterable[str], gcc_major: int) -> str:
    """The Kbuild file of a folder of probes.

    A wrong prototype is only a warning to older compilers, so the warnings that tell variants apart are errors here;
    gcc before 5 cannot name them one by one.
    """
    strict = (
        "-Werror=incompatible-pointer-types -Werror=int-conversion -Werror=implicit-function-declaration"
        if gcc_major >= 5
        else "-Werror"
    )
    return f"obj-m := {' '.join(f'{stem}.o' for stem in sorted(stems))}\nccflags-y := {strict}\n"


def sanity_log(log: str) -> str:
    """What the compiler said of sanity.c: kbuild announces each file with a line of its own."""
    _, found, after = log.partition(f"{SANITY}.o\n")
    lines = after.splitlines() if found else log.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith("  CC [M]")), len(lines))
    return "\n".join(lines[:end])


def probe_argv(build_dir: Path, folder: Path, compiler: str) -> list[str]:
    """The one make run of all probes; -k goes on after those that do not compile, which is most of them."""
    return [
        "make", "-k", "-C", str(build_dir), f"M={folder}", f"CC={compiler}", "KCFLAGS=-g0",
        "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules",
    ]  # fmt: skip


def run_probes(
    probes: Path, tree: HeaderTree, compiler: Compiler, *, cache: Path, log: Path, executor: Executor
) -> ProbeResult:
    """Probe a header set, or read what an earlier run found. Raises StepError; a result that breaks the rules is not
    kept. A driver source without probes has an empty result."""
    stems = sorted(path.stem for path in probes.glob("*.c")) if probes.is_dir() else []
    if not stems:
        return ProbeResult(())
    key = hashlib.sha256("\0".join([_LAYOUT, tree.digest, digest_folder(probes), compiler.text]).encode()).hexdigest()
    kept = cache / f"{key[:32]}.json"
    if kept.is_file():
        touch(kept)
        return ProbeResult(tuple(json.loads(kept.read_text())["variants"]))
    cache.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=cache) as scratch:
        folder = Path(scratch) / "probes"
        copy_folder(probes, folder)
        (folder / "Kbuild").write_text(probe_kbuild(stems, compiler.version[0]))
        task = Task(
            argv=tuple(probe_argv(tree.build_dir, folder, kbuild_cc(compiler, tree.source_dir))),
            cwd=folder,
            log=log,
            timeout_s=_TIMEOUT_S,
            reads=(tree.root,),
            writes=(folder,),
            env=build_environment(),
            toolchain=compiler.text,
        )
        completed = executor.run(task)
        if completed.timed_out:
            raise StepError(Failure.PROBE, f"make did not end within {_TIMEOUT_S:.0f} s", log=log)
        compiled = frozenset(stem for stem in stems if (folder / f"{stem}.o").is_file())
        try:
            result = judge_probes(stems, compiled)
        except StepError as error:
            error.log = log
            if error.failure is Failure.TOOLCHAIN:
                error.detail = relevant_lines(sanity_log(log.read_text(errors="replace")))
            raise
        fresh = Path(scratch) / "result.json"
        fresh.write_text(json.dumps({"headers": tree.digest, "compiler": compiler.text, "variants": result.variants}))
        fresh.replace(kept)
    return result
