"""Why a build gets the toolchain that it gets: the evidence, where each fact was read, and what was chosen by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from builder.choice import Choice, Toolchains
from builder.evidence import Evidence, Needs, compiler_source
from builder.headers import HeaderTree
from builder.plan import BuildPlan
from builder.toolchain import Compiler, Llvm, gcc_name
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import KdriverError

TreeOf = Callable[[BuildPlan], HeaderTree]
"""The unpacked headers of a plan's kernel; raises KdriverError."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One piece of evidence. source: the file, or the package's field, that says so."""

    name: str
    value: str
    source: str

    def to_json(self) -> dict[str, str]:
        """A flat object."""
        return {"fact": self.name, "value": self.value, "source": self.source}


@dataclass(frozen=True, slots=True)
class Explanation:
    """The toolchain of one plan. choices: best first; of several, all newer than the kernel's own, the headers have the
    last word. reason, hint: why there is none; of a plan that is skipped its reason."""

    plan: BuildPlan
    facts: tuple[Fact, ...] = ()
    choices: tuple[Choice, ...] = ()
    reason: str = ""
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """What --explain --json prints. toolchain: null where there is none."""
        return {
            "kernel": self.plan.kernel.key,
            "kind": str(self.plan.kind),
            "toolchain": choice_json(self.choices[0]) if self.choices else None,
            "others": [choice_json(one) for one in self.choices[1:]],
            "evidence": [fact.to_json() for fact in self.facts],
            "reason": self.reason,
            "hint": self.hint,
        }


def choice_json(choice: Choice) -> dict[str, Any]:
    """A choice as a document. image: the digest of the image that it compiles in, empty for this machine."""
    return {
        "compiler": compiler_text(choice),
        "where": choice.place.name,
        "image": choice.place.image,
        "exact": choice.exact,
        "why": choice.why,
    }


def compiler_text(choice: Choice) -> str:
    """What the compiler says of itself."""
    return choice.compiler.text if isinstance(choice.compiler, Compiler) else choice.compiler.clang.text


def explain_builds(plans: Iterable[BuildPlan], toolchains: Toolchains, tree_of: TreeOf) -> tuple[Explanation, ...]:
    """One explanation for each plan, by the headers of its kernel. Nothing is built."""
    return tuple(_explain(plan, toolchains, tree_of) for plan in plans)


def explain_from_index(plans: Sequence[BuildPlan], toolchains: Toolchains) -> tuple[Explanation, ...]:
    """The same without headers: by what the packages' dependencies say. What they do not say is left open."""
    return tuple(_explain(plan, toolchains, None) for plan in plans)


def _explain(plan: BuildPlan, toolchains: Toolchains, tree_of: TreeOf | None) -> Explanation:
    facts: tuple[Fact, ...] = ()
    if plan.skip:
        return Explanation(plan, reason=plan.skip)
    try:
        if plan.kind is not DriverKind.KMOD:
            choice = toolchains.llvm(None if plan.kind is DriverKind.CORE else plan.kernel)
            return Explanation(plan, _llvm_facts(choice), (choice,))
        if tree_of is None:
            evidence = index_evidence(plan)
            if evidence is None:
                return Explanation(plan, _package_facts(plan), reason="its packages do not name a compiler")
            facts = _package_facts(plan)
            return Explanation(plan, facts, toolchains.gcc(plan.kernel, evidence, Needs()))
        tree = tree_of(plan)
        facts = (*_package_facts(plan), *_header_facts(tree))
        return Explanation(plan, facts, toolchains.gcc(plan.kernel, tree.evidence, tree.needs))
    except KdriverError as error:
        return Explanation(plan, facts, reason=error.message, hint=error.hint or "")


def index_evidence(plan: BuildPlan) -> Evidence | None:
    """What the index knows of a kernel's compiler and C library, None when it knows no compiler."""
    found = re.fullmatch(r"gcc-(\d+)(?:\.(\d+))?", plan.kernel.compiler)
    if found is None:
        return None
    libc = re.fullmatch(r"(\d+)\.(\d+)", plan.kernel.libc)
    glibc = (int(libc[1]), int(libc[2])) if libc else (0, 0)
    gcc = (int(found[1]), int(found[2] or 0))
    return Evidence(plan.kernel.release, plan.kernel.compiler, gcc, True, glibc, "the kbuild package")


def _package_facts(plan: BuildPlan) -> tuple[Fact, ...]:
    found = []
    if plan.kernel.compiler:
        found.append(Fact("compiler", plan.kernel.compiler, "dependency of the header packages"))
    if plan.kernel.libc:
        found.append(Fact("glibc", f"{plan.kernel.libc} or newer", "dependency of the header packages"))
    return tuple(found)


def _header_facts(tree: HeaderTree) -> tuple[Fact, ...]:
    evidence, needs = tree.evidence, tree.needs
    glibc = f"{evidence.glibc[0]}.{evidence.glibc[1]} or newer" if evidence.glibc != (0, 0) else "any"
    return (
        Fact("compiler", evidence.compiler, compiler_source(tree.build_dir)),
        Fact("gcc", gcc_name(evidence.gcc) if evidence.gcc != (0, 0) else "none", "the same"),
        Fact("glibc", glibc, evidence.glibc_tool or "no host tool needs it"),
        Fact("libraries", ", ".join(needs.libraries) or "none", "host tools of the headers (DT_NEEDED)"),
        Fact("objtool", "is run" if needs.objtool else "is not run", ".config"),
        Fact("pahole", "not needed: kdriver leaves BTF out of modules" if needs.btf else "not needed", ".config"),
        Fact("gcc plugins", ", ".join(needs.plugins) or "none", ".config"),
    )


def _llvm_facts(choice: Choice) -> tuple[Fact, ...]:
    assert isinstance(choice.compiler, Llvm)
    return (Fact("eBPF instruction set", choice.compiler.mcpu, "builder/toolchain.toml"),)
