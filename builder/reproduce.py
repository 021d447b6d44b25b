"""Whether a build is reproducible: built a second time under circumstances that differ in all that must not matter.

The second build is a kdriver of its own, with another cache (so headers are unpacked elsewhere and probed again), in
another folder, time zone, locale and umask, and, where this may be done here, under another host name and user.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.difference import compare_files
from builder.failure import Failure
from builder.result import BuildOutcome, BuildResult
from kdriver.core.errors import BuildError, ExitCode
from kdriver.core.kernel import FILE
from kdriver.core.paths import cache_dir, index_dir

_SCRIPT = 'printf %s "$1" >/proc/sys/kernel/hostname && umask "$2" && shift 2 && exec "$@"'
"""In a UTS namespace of its own: another host name and umask, then the command."""
_PLAIN = 'umask "$1" && shift && exec "$@"'
_NOBODY = "65534"
_STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How the second build differs. prefix: the command that puts it there. environment: what it gets besides PATH.
    differs: what is different, for a person."""

    prefix: tuple[str, ...]
    environment: dict[str, str]
    differs: tuple[str, ...]


def plan_circumstances(folder: Path, *, namespaces: bool, other_user: bool, umask: int) -> Circumstances:
    """Circumstances for a build below `folder`. namespaces: a host name of its own can be set. other_user: it can
    become nobody, who then keeps the right to read and write what it must. umask: the caller's."""
    other_mask = "0077" if umask != 0o077 else "0022"
    differs = ["folder", "cache", "time", "time zone", "locale", "umask"]
    prefix = ["sh", "-c", _PLAIN, "sh", other_mask]
    if namespaces:
        prefix = ["unshare", "--uts", *([] if other_user else ["--user", "--map-root-user"])]
        prefix += ["sh", "-c", _SCRIPT, "sh", "kdriver-elsewhere", other_mask]
        differs.append("host name")
    if other_user:
        rights = "+dac_override,+dac_read_search"
        prefix += ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        prefix += [f"--inh-caps={rights}", f"--ambient-caps={rights}"]
        differs.append("user")
    environment = {
        "KDRIVER_CACHE": str(folder / "cache"),
        "KDRIVER_INDEX": str(index_dir()),
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "TZ": "KDT-13:30",
        "LC_ALL": "C.UTF-8" if os.environ.get("LC_ALL") != "C.UTF-8" else "POSIX",
        "USER": "kdriver-elsewhere",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Its downloads are this cache's, which other builds use: nothing of them is its to take out.
        "KDRIVER_CACHE_LIMIT": "1000000T",
        "KDRIVER_HEADERS_MEMORY": "0",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    return Circumstances(tuple(prefix), environment, tuple(differs))


def check_reproducible(results: Sequence[BuildResult], words: Sequence[str], jobs: int) -> tuple[BuildResult, ...]:
    """The results with what a second build of each says: `identical`, or failed (check) with where the files differ.

    words: the options of the first `kdriver build` that choose how, and not what, it builds. Results without a file
    stay as they are. Raises BuildError when there was no second build at all.
    """
    ours = [result for result in results if result.artifact is not None]
    if not ours:
        return tuple(results)
    with _elsewhere() as (folder, circumstances):
        argv = [*again_argv(ours, folder / "out", jobs), *words]
        again = _run([*circumstances.prefix, *argv], folder, circumstances)
        found = {(one["kernel"], one["kind"]): one for one in again}
        return tuple(
            _judge(result, found.get((result.kernel, str(result.kind))), circumstances)
            if result.artifact is not None
            else result
            for result in results
        )


def again_argv(results: Sequence[BuildResult], out: Path, jobs: int) -> list[str]:
    """The command that builds the same again, without how. A kernel from outside the index is named by its --headers,
    which say how, too."""
    kernels = dict.fromkeys(result.kernel for result in results if not result.kernel.startswith(f"{FILE}/"))
    kinds = dict.fromkeys(str(result.kind) for result in results)
    argv = [sys.executable, "-m", "kdriver", "build", "--json", "--jobs", str(jobs), "--out", str(out)]
    argv += [word for kernel in kernels for word in ("--kernel", kernel)]
    return argv + [word for kind in kinds for word in ("--kind", kind)]


def _judge(result: BuildResult, again: dict[str, Any] | None, circumstances: Circumstances) -> BuildResult:
    assert result.artifact is not None
    failed = replace(
        result,
        outcome=BuildOutcome.FAILED,
        failure=str(Failure.CHECK),
        exit_code=ExitCode.BUILD,
        reproduced="different",
    )
    if again is None or not again["artifact"]:
        why = again["reason"] if again else "it has no result"
        return replace(failed, reason=f"{Failure.CHECK}: not reproducible: the second build failed: {why}")
    other = Path(again["artifact"]).read_bytes()
    lines = compare_files(result.artifact.read_bytes(), other)
    if not lines:
        return replace(result, reproduced="identical")
    kept = cache_dir() / "logs" / result.kernel / f"{result.artifact.name}.again"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(other)
    more = f" and {len(lines) - 1} more places" if len(lines) > 1 else ""
    return replace(
        failed,
        reason=f"{Failure.CHECK}: not reproducible: {lines[0]}{more}",
        detail="\n".join((*lines, f"the second file: {kept}")),
        hint=f"The second build differed in {', '.join(circumstances.differs)}; find which of them is in the file.",
    )


@contextmanager
def _elsewhere() -> Iterator[tuple[Path, Circumstances]]:
    """A folder for the second build, deeper than the first one's, with the downloads of this cache."""
    downloads = cache_dir() / "downloads"
    with tempfile.TemporaryDirectory(prefix="kdriver-again-") as scratch:
        folder = Path(scratch) / "somewhere" / "else" / "altogether"
        (folder / "cache").mkdir(parents=True)
        (folder / "tmp").mkdir()
        downloads.mkdir(parents=True, exist_ok=True)
        (folder / "cache" / "downloads").symlink_to(downloads)
        root = os.geteuid() == 0
        umask = os.umask(0o022)
        os.umask(umask)
        namespaces = _works(["unshare", "--uts", *([] if root else ["--user", "--map-root-user"]), "true"])
        other_user = root and _works(["setpriv", f"--reuid={_NOBODY}", "--ambient-caps=-all", "true"])
        circumstances = plan_circumstances(folder, namespaces=namespaces, other_user=other_user, umask=umask)
        if other_user:
            for path in (Path(scratch), *Path(scratch).rglob("*")):
                if not path.is_symlink():
                    os.chown(path, int(_NOBODY), int(_NOBODY))
        yield folder, circumstances


def _works(argv: list[str]) -> bool:
    return shutil.which(argv[0]) is not None and subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _run(argv: list[str], folder: Path, circumstances: Circumstances) -> list[dict[str, Any]]:
    kept = {name: os.environ[name] for name in os.environ if name.startswith("KDRIVER_") or name == "PATH"}
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env={**kept, **circumstances.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, said = process.communicate()
    except BaseException:
        process.terminate()
        try:
            process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    try:
        found: list[dict[str, Any]] = json.loads(out)
    except ValueError as error:
        last = (said.strip().splitlines() or [f"status {process.returncode}"])[-1]
        raise BuildError(
            f"the second build did not run: {last}", hint="Run the same build by hand to see why."
        ) from error
    return found
