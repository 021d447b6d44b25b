"""Kernel headers: the closure of a kernel's header packages, unpacked once without installing, shared read-only."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from builder.evidence import Evidence, Needs, read_evidence, read_needs
from builder.failure import Failure, StepError
from builder.keep import own_memory, touch
from builder.memory import room_in_memory, trees_in_memory
from kdriver.core.artifact import Input
from kdriver.core.errors import KdriverError
from kdriver.core.kernel import Kernel, Package, PackageRole

logger = logging.getLogger(__name__)

_ROLES = (PackageRole.HEADERS, PackageRole.HEADERS_COMMON, PackageRole.KBUILD)
_LAYOUT = "2"
"""Part of a tree's digest: raised when a tree is unpacked or mended in another way."""
_FACTS = "facts.json"
_KEPT_ARCH = {"x86_64": ("x86",)}

Fetcher = Callable[[Kernel, Package], Path]
"""Gets a package file, from the cache or a mirror; its digest has been checked."""
Unpacker = Callable[[Path, Path, Callable[[str], bool]], None]
"""Unpacks a package file into a folder; the function says which members (paths without a leading `./`)."""


@dataclass(frozen=True, slots=True)
class HeaderTree:
    """Unpacked headers. digest: of the packages. root: holds `usr/src` and `usr/lib`. build_dir: what `make -C` gets
    (configuration and generated headers). source_dir: the common headers (the same folder for some distributions)."""

    digest: str
    root: Path
    build_dir: Path
    source_dir: Path
    evidence: Evidence
    inputs: tuple[Input, ...]
    needs: Needs = field(default_factory=Needs)


def header_packages(kernel: Kernel) -> tuple[Package, ...]:
    """The packages that a build needs, in a fixed order; empty when the index knows no headers of this kernel."""
    found = tuple(package for role in _ROLES for package in kernel.packages if package.role is role)
    return found if any(package.role is PackageRole.HEADERS for package in found) else ()


def header_digest(packages: tuple[Package, ...]) -> str:
    """SHA-256 that names a header set: the digests of its packages and how we unpack them."""
    parts = sorted(package.digest for package in packages)
    return hashlib.sha256("\0".join([_LAYOUT, *parts]).encode()).hexdigest()


def prepare_headers(kernel: Kernel, cache: Path, fetch: Fetcher, unpack: Unpacker) -> HeaderTree:
    """The unpacked headers of a kernel, in `cache`/<digest> or in memory; unpacked now when they are not there yet. A
    kernel whose release is not known yet (empty) takes that of its headers.

    Raises StepError (headers) when the packages do not hold what a build needs, and what fetch and unpack raise.
    A process that is killed leaves only a hidden folder, never a tree that looks whole.
    """
    packages = header_packages(kernel)
    if not packages:
        raise StepError(Failure.HEADERS, f"{kernel.key}: the index knows no header packages of this kernel")
    digest = header_digest(packages)
    with _locked(cache / f".{digest[:32]}.lock"):
        home = _whole_home(cache, digest)
        if home is None:
            files = [fetch(kernel, package) for package in packages]
            home = _unpack(cache, digest[:32], files, _KEPT_ARCH.get(kernel.arch, ()), unpack)
        touch(home)
        facts = json.loads((home / _FACTS).read_text())
        if "needs" not in facts:  # an older kdriver unpacked it
            facts["needs"] = read_needs(home / "tree" / facts["build_dir"]).to_json()
            with contextlib.suppress(OSError):
                (home / _FACTS).write_text(json.dumps(facts, indent=2) + "\n")
    evidence = Evidence(**{**facts["evidence"], **{key: tuple(facts["evidence"][key]) for key in ("gcc", "glibc")}})
    if kernel.release and evidence.release != kernel.release:
        raise StepError(Failure.HEADERS, f"{kernel.key}: the headers are of {evidence.release}")
    return HeaderTree(
        digest,
        home / "tree",
        home / "tree" / facts["build_dir"],
        home / "tree" / facts["source_dir"],
        evidence,
        tuple(Input(package.file_name, package.digest) for package in packages),
        Needs.from_json(facts["needs"]),
    )


def kept_build_dir(kernel: Kernel, cache: Path) -> Path | None:
    """The folder that `make -C` gets, of headers that were unpacked before; None where they were not."""
    packages = header_packages(kernel)
    home = _whole_home(cache, header_digest(packages)) if packages else None
    if home is None:
        return None
    return home / "tree" / str(json.loads((home / _FACTS).read_text())["build_dir"])


def is_wanted(member: str, architectures: tuple[str, ...]) -> bool:
    """Whether a build can need that member of a header package: not the documents, not other architectures'
    headers, and not /lib/modules, whose links lead out of the tree. Half of the files are left out so."""
    parts = PurePosixPath(member).parts
    if parts[:2] in (("usr", "share"), ("lib", "modules")) or parts[:3] == ("usr", "lib", "modules"):
        return False
    # usr/src/linux-headers-<release>/arch/x86/…, of an RPM usr/src/kernels/<release>/arch/x86/…
    inside = parts[4 if parts[2:3] == ("kernels",) else 3 :]
    if architectures and parts[:2] == ("usr", "src") and len(inside) > 1 and inside[0] == "arch":
        return inside[1] in architectures
    return True


def mend_makefile(text: str, root: Path) -> str:
    """A Makefile with its absolute paths to the installed headers led into the tree.

    Debian's is one or two lines such as `include /usr/src/linux-headers-6.1.0-56-common/Makefile`.
    """
    return re.sub(r"(?<![\w./-])/usr/(src|lib/linux-kbuild)", lambda found: f"{root}/usr/{found[1]}", text)


def _whole_home(cache: Path, digest: str) -> Path | None:
    """Where a header set is unpacked, on disk or in memory."""
    folders = (cache, trees_in_memory(cache.parent))
    homes = (folder / digest[:32] for folder in folders if folder is not None)
    return next((home for home in homes if _is_whole(home)), None)


def _unpack(cache: Path, name: str, files: list[Path], architectures: tuple[str, ...], unpack: Unpacker) -> Path:
    """Unpack in memory where there is room, else on disk; the tree's home. The caller holds the tree's lock, so that
    what is half unpacked is of a process that was killed."""
    for folder in (cache, own_memory(cache.parent)):
        for left in folder.glob(f".{name}.*") if folder is not None else ():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
    memory = room_in_memory(cache.parent)
    if memory is not None:
        try:
            _unpack_to(memory / name, files, architectures, unpack)
        except (OSError, KdriverError) as error:  # others were quicker to take the room
            if not _is_full(error):
                raise
            logger.debug("%s: no room in memory: %s", name, error)
        else:
            return memory / name
    _unpack_to(cache / name, files, architectures, unpack)
    return cache / name


def _is_full(error: OSError | KdriverError) -> bool:
    """Whether it is of the file system and not of the package: an unpacker says that one is full in its own words."""
    if isinstance(error, KdriverError):
        return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
    return True


def _unpack_to(home: Path, files: list[Path], architectures: tuple[str, ...], unpack: Unpacker) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        tree = scratch / "tree"
        tree.mkdir()
        for file in files:
            unpack(file, tree, lambda member: is_wanted(member, architectures))
        build_dir = _only_folder(tree, "include/generated/utsrelease.h")
        source_dir = _only_folder(tree, "include/linux/kernel.h")
        makefile = build_dir / "Makefile"
        makefile.write_text(mend_makefile(makefile.read_text(), home / "tree"))
        facts = {
            "home": str(home),
            "build_dir": str(build_dir.relative_to(tree)),
            "source_dir": str(source_dir.relative_to(tree)),
            "evidence": asdict(read_evidence(build_dir)),
            "needs": read_needs(build_dir).to_json(),
        }
        (scratch / _FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        if home.exists():  # moved here from elsewhere, or damaged
            shutil.rmtree(home)
        scratch.chmod(0o755)
        scratch.rename(home)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _only_folder(tree: Path, file: str) -> Path:
    sources = tree / "usr" / "src"
    places = [*sources.glob("*"), *(sources / "kernels").glob("*")]
    found = sorted(path for path in places if (path / file).is_file() and not path.is_symlink())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise StepError(Failure.HEADERS, f"exactly one folder of the header packages should hold {file}, found {names}")
    return found[0]


def _is_whole(home: Path) -> bool:
    """Whether a tree is there and stands where it was mended for."""
    try:
        return bool(json.loads((home / _FACTS).read_text())["home"] == str(home))
    except (FileNotFoundError, ValueError, KeyError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock, so that two processes do not unpack the same headers; a killed one gives it up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
