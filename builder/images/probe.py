"""What is in an image: its compilers, C library and libraries, as they say themselves; asked once for each image."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.failure import Failure, StepError
from builder.toolchain import Compiler, Llvm
from kdriver.executors.container import ContainerExecutor
from kdriver.executors.engine import Engine
from kdriver.executors.task import Task

_TIMEOUT_S = 120.0
_LAYOUT = "1"
# One line a fact: a word, then fields between bars. Nothing but a shell, coreutils and ldconfig is needed.
_SCRIPT = r"""
export LC_ALL=C
libc=$(ldd --version 2>/dev/null | sed -n '1s/.* //p')
echo "kd|libc|$libc"
for program in /usr/bin/gcc /usr/bin/gcc-[0-9]* /usr/bin/clang-[0-9]*; do
    [ -x "$program" ] || continue
    case "$program" in
        *clang*) word=clang; more=$("$program" -print-resource-dir) ;;
        *) word=gcc; more= ;;
    esac
    case "${program#/usr/bin/$word}" in *[!-0-9.]*) continue ;; esac
    echo "kd|$word|$program|$("$program" --version | sed -n 1p)|$more"
done
for program in /usr/bin/llc-[0-9]* /usr/bin/llvm-strip-[0-9]*; do
    [ -x "$program" ] && echo "kd|tool|$program"
done
PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/^[[:space:]]*\([^ ]*\) (libc6,x86-64.*/kd|lib|\1/p'
command -v pahole >/dev/null && echo "kd|pahole|$(pahole --version)"
if [ -d /usr/include/bpf ]; then
    digest=$(for header in /usr/include/bpf/bpf_*.h /usr/include/linux/bpf.h; do
        [ -f "$header" ] && printf '%s\0' "${header##*/}" && cat "$header"
    done | sha256sum)
    echo "kd|headers|${digest%% *}"
fi
echo "kd|end"
"""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """libc: the version of glibc. gccs, llvms: sorted by version, paths inside the image. libraries: what the dynamic
    linker finds there. pahole: its version, empty for none. headers: digest of libbpf's and linux/bpf.h, as
    builder.kinds.core counts them; empty for none."""

    libc: tuple[int, int]
    gccs: tuple[Compiler, ...]
    llvms: tuple[Llvm, ...]
    libraries: tuple[str, ...]
    pahole: str
    headers: str

    def to_json(self) -> dict[str, Any]:
        """A document that from_json reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ImageFacts:
        """The inverse of to_json. Raises KeyError or TypeError."""

        def compiler(one: dict[str, Any]) -> Compiler:
            return Compiler(one["path"], tuple(one["version"]), one["text"])

        return cls(
            tuple(value["libc"]),
            tuple(map(compiler, value["gccs"])),
            tuple(Llvm(**{**one, "clang": compiler(one["clang"])}) for one in value["llvms"]),
            tuple(value["libraries"]),
            value["pahole"],
            value["headers"],
        )


def parse_facts(printed: str, mcpu: str) -> ImageFacts:
    """What the script printed. Raises ValueError when it did not come to its end."""
    rows = [line.split("|")[1:] for line in printed.splitlines() if line.startswith("kd|")]
    if not rows or rows[-1] != ["end"]:
        raise ValueError("the image's shell did not come to the end")
    tools = {fields[0] for word, *fields in rows if word == "tool"}
    gccs: dict[tuple[int, int], Compiler] = {}
    llvms = []
    libc = (0, 0)
    pahole = headers = ""
    for word, *fields in rows:
        if word == "libc" and re.fullmatch(r"\d+\.\d+", fields[0]):
            major, minor = fields[0].split(".")
            libc = (int(major), int(minor))
        elif word == "gcc":
            number = re.search(r"\) (\d+)\.(\d+)", fields[1])
            if number:
                version = (int(number[1]), int(number[2]))
                # Of several of one version the one that says so in its name (gcc-12) counts.
                if version not in gccs or gccs[version].path == "/usr/bin/gcc":
                    gccs[version] = Compiler(fields[0], version, fields[1])
        elif word == "clang":
            number = re.search(r"clang version (\d+)\.(\d+)", fields[1])
            suffix = fields[0].removeprefix("/usr/bin/clang")
            llc, strip = f"/usr/bin/llc{suffix}", f"/usr/bin/llvm-strip{suffix}"
            if number and {llc, strip} <= tools:
                clang = Compiler(fields[0], (int(number[1]), int(number[2])), fields[1])
                llvms.append(Llvm(clang, llc, strip, fields[2], mcpu))
        elif word == "pahole":
            pahole = fields[0]
        elif word == "headers":
            headers = fields[0]
    libraries = sorted({fields[0] for word, *fields in rows if word == "lib"})
    ordered = tuple(gccs[version] for version in sorted(gccs))
    return ImageFacts(libc, ordered, tuple(llvms), tuple(libraries), pahole, headers)


def probe_image(engine: Engine, image_id: str, name: str, *, cache: Path, mcpu: str) -> ImageFacts:
    """The facts of an image, read from `cache` or asked of it now. Raises StepError (toolchain) when it does not
    answer, EngineError."""
    kept = cache / f"{image_id.removeprefix('sha256:')[:32]}-{_LAYOUT}-{mcpu}.json"
    try:
        return ImageFacts.from_json(json.loads(kept.read_text()))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=cache) as scratch:
        log = Path(scratch) / "log"
        task = Task(("sh", "-c", _SCRIPT), Path("/"), log, _TIMEOUT_S)
        done = ContainerExecutor(engine, image_id).run(task)
        printed = log.read_text(errors="replace")
        try:
            facts = parse_facts(printed, mcpu)
        except ValueError as error:
            raise StepError(
                Failure.TOOLCHAIN,
                f"image {name} does not say what is in it (status {done.status}): {done.tail(1)}",
                hint=f"Make it again: kdriver images build {name} --force",
            ) from error
        fresh = Path(scratch) / "facts.json"
        fresh.write_text(json.dumps(facts.to_json()))
        fresh.replace(kept)
    return facts
