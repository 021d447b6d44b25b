"""Would this kernel take this module? Vermagic and symbol CRCs are compared before the kernel is asked.

The running kernel's CRCs stand in Module.symvers where headers are installed. Elsewhere the kernel's own modules tell
them: each carries the CRCs of the symbols that it uses, so the symbols that it shares with ours can be compared.
"""

from __future__ import annotations

import gzip
import lzma
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.errors import IntegrityError, LoadError
from kdriver.inspect.elf import ModuleFacts, read_module
from kdriver.inspect.symvers import compare_symbols, parse_symvers

_BUDGET_S = 3.0
"""For reading the kernel's own modules: enough for some hundreds, and a loader must not keep an agent waiting."""
_MAX_REFERENCE_BYTES = 400_000


@dataclass(frozen=True, slots=True)
class KernelEvidence:
    """What is known of the running kernel's symbols. source: where from, for a person. complete: whether a symbol
    that is not listed is known to be absent. vermagic: of one of its modules, empty where none can be read."""

    source: str
    crcs: dict[str, int]
    complete: bool
    vermagic: str


def check_module(module: Path, release: str, root: Path = Path("/")) -> tuple[str, ...]:
    """Compare a module with the kernel `release` as far as it can be read below `root`.

    Returns what was found out, one line each. Raises LoadError when the kernel would refuse the module.
    """
    facts = read_module(module)
    evidence = read_evidence(facts, release, root)
    lines = [_check_vermagic(module.name, facts, release, evidence)]
    if not facts.versions:
        lines.append("symbol CRCs: the module carries none (the kernel was built without CONFIG_MODVERSIONS)")
        return tuple(lines)
    known = evidence.crcs
    if evidence.complete:
        mismatches = [str(one) for one in compare_symbols(facts, known)]
    else:
        shared = {name: crc for name, crc in facts.versions.items() if name in known}
        mismatches = [
            f"{name}: the module needs CRC {crc:#010x}, the kernel has {known[name]:#010x}"
            for name, crc in sorted(shared.items())
            if crc != known[name]
        ]
    if mismatches:
        raise LoadError(
            f"{module.name}: does not fit the kernel: {mismatches[0]} ({len(mismatches)} in all; {evidence.source})",
            hint="Use the driver that was built for this very kernel build; see `kdriver load --explain`.",
        )
    compared = sum(name in known for name in facts.versions)
    lines.append(f"symbol CRCs: {compared} of {len(facts.versions)} agree ({evidence.source})")
    return tuple(lines)


def read_evidence(facts: ModuleFacts, release: str, root: Path = Path("/")) -> KernelEvidence:
    """Find the running kernel's CRCs for the symbols that a module needs."""
    own = root / "lib/modules" / release
    for path in (
        own / "build/Module.symvers",
        own / "symvers.gz",
        own / "symvers.xz",
        root / f"boot/symvers-{release}.gz",
    ):
        text = _symvers_text(path)
        if text:
            return KernelEvidence(str(path), parse_symvers(text, path.name), True, "")
    return _from_modules(own, set(facts.versions))


def _from_modules(own: Path, wanted: set[str]) -> KernelEvidence:
    crcs: dict[str, int] = {}
    vermagic = ""
    count = 0
    deadline = time.monotonic() + _BUDGET_S
    for path in _reference_modules(own):
        if (count and wanted <= crcs.keys()) or time.monotonic() > deadline:
            break
        try:
            facts = read_module(path)
        except (IntegrityError, OSError):
            continue
        count += 1
        vermagic = vermagic or facts.vermagic
        crcs.update((name, crc) for name, crc in facts.versions.items() if name in wanted)
    source = f"{count} modules of this kernel" if count else f"{own} has no modules to compare with"
    return KernelEvidence(source, crcs, False, vermagic)


def _reference_modules(own: Path) -> Iterator[Path]:
    """The kernel's own modules; only below kernel/: what others put into updates/ or extra/ proves nothing."""
    for path in (own / "kernel").rglob("*.ko*"):
        if path.stat().st_size <= _MAX_REFERENCE_BYTES:
            yield path


def _check_vermagic(name: str, facts: ModuleFacts, release: str, evidence: KernelEvidence) -> str:
    ours, _, our_flags = facts.vermagic.partition(" ")
    _, _, kernel_flags = evidence.vermagic.partition(" ")
    if evidence.vermagic and our_flags != kernel_flags:
        raise LoadError(
            f"{name}: its vermagic flags are `{our_flags}`, this kernel's are `{kernel_flags}`",
            hint="Use the driver that was built for this very kernel build.",
        )
    if ours == release:
        compared = "flags as this kernel's modules" if evidence.vermagic else "flags not compared"
        return f"vermagic: {facts.vermagic} ({compared})"
    # CONFIG_MODVERSIONS makes the kernel skip the release and compare CRCs: a shared module is right with another name.
    if facts.versions and facts.versions.keys() <= evidence.crcs.keys():
        return f"vermagic: built for {ours}, every symbol CRC agrees with {release}"
    raise LoadError(
        f"{name}: was built for {ours or 'an unknown kernel'}; this host runs {release}",
        hint="Use the driver that was built for this very kernel build; see `kdriver load --explain`.",
    )


def _symvers_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        elif path.suffix == ".xz":
            content = lzma.decompress(content)
    except (OSError, EOFError, lzma.LZMAError):
        return ""
    return content.decode(errors="replace")
