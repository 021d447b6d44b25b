"""Finding what could be published: built drivers with their records and verdicts, from the cache or from a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdriver.core.artifact import CORE_KERNEL, Artifact, DriverKind
from kdriver.core.errors import IntegrityError
from kdriver.core.kernel import Kernel, PackageRole
from kdriver.core.verdict import Verdict, void_reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """One driver file for one kernel, with its verdict on that kernel (None: there is none).

    void: why the verdict says nothing any more; empty for one that holds."""

    kernel: Kernel
    artifact: Artifact
    path: Path
    verdict: Verdict | None
    void: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """A driver file and its record."""

    artifact: Artifact
    path: Path


def read_built_cache(artifacts_dir: Path) -> tuple[Built, ...]:
    """All drivers in the builder's cache: `<content key>/{record.json, <file>}`, sorted by content key.

    Raises IntegrityError naming a record that cannot be read."""
    records = sorted(artifacts_dir.glob("*/record.json"))
    return tuple(_read_built(record, record.parent) for record in records)


def read_built_folder(folder: Path) -> tuple[Built, ...]:
    """All drivers of `kdriver build --out`: `<release>/<file>` with `<file>.json` beside it, sorted by path.

    Raises IntegrityError naming a record that cannot be read."""
    names = {kind.file_name for kind in DriverKind}
    records = sorted(path for path in folder.rglob("*.json") if path.name.removesuffix(".json") in names)
    return tuple(_read_built(record, record.parent) for record in records)


def gather(
    built: Iterable[Built],
    kernels: Iterable[Kernel],
    kinds: Iterable[DriverKind],
    verdicts_dir: Path,
    *,
    case_set: str = "",
) -> tuple[Candidate, ...]:
    """For each kernel and kind the driver to publish, in the order of `kernels` and `kinds`, and after a module its
    signed file where there is one; a kernel for which none was built has no candidate.

    Of several files for one kernel and kind it takes the one that was built or judged last: what the user did last is
    what the user means, and an older one that passed must not stand in for a newer one that failed. case_set: digest of
    the cases as they are now; without it verdicts by other cases count as well.
    """
    found = _newest(tuple(built), tuple(kernels), tuple(kinds), verdicts_dir)
    return tuple(replace(one, void=_void(one, case_set)) for one in found)


def _void(candidate: Candidate, case_set: str) -> str:
    if candidate.verdict is None:
        return ""
    image = candidate.kernel.package(PackageRole.IMAGE)
    return void_reason(
        candidate.verdict,
        artifact_sha256=candidate.artifact.judged,
        image_sha256=image.sha256 if image is not None else "",
        case_set=case_set,
    )


def read_verdict(verdicts_dir: Path, artifact_sha256: str, kernel_key: str) -> Verdict | None:
    """The verdict on one artifact and kernel, None when there is none. Raises IntegrityError when it cannot be read
    or is of something else."""
    path = verdict_path(verdicts_dir, artifact_sha256, kernel_key)
    try:
        verdict = Verdict.from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: is no verdict: {error!r}", hint="Delete it and verify again.") from error
    if verdict.artifact_sha256 != artifact_sha256 or verdict.kernel != kernel_key:
        raise IntegrityError(
            f"{path}: is the verdict on {verdict.artifact_sha256[:12]} and {verdict.kernel}",
            hint="Delete it and verify again.",
        )
    return verdict


def kernels_of(built: Iterable[Built], verdicts_dir: Path) -> frozenset[str]:
    """The keys of all kernels that these drivers were built for or judged on."""
    keys = set()
    for one in built:
        keys.add(one.artifact.serves or one.artifact.kernel)
        for path in (verdicts_dir / one.artifact.judged).glob("*.json"):
            try:
                keys.add(str(json.loads(path.read_bytes())["kernel"]))
            except (ValueError, KeyError, TypeError) as error:
                raise IntegrityError(f"{path}: is no verdict: {error!r}", hint="Delete it and verify again.") from error
    return frozenset(keys - {CORE_KERNEL})


def verdict_path(verdicts_dir: Path, artifact_sha256: str, kernel_key: str) -> Path:
    """Where the verifier writes the verdict on one artifact and kernel."""
    return verdicts_dir / artifact_sha256 / f"{kernel_key.replace('/', '_')}.json"


def _newest(
    built: tuple[Built, ...], kernels: tuple[Kernel, ...], kinds: tuple[DriverKind, ...], verdicts_dir: Path
) -> Iterator[Candidate]:
    for kernel in kernels:
        for kind in kinds:
            found = [
                Candidate(kernel, one.artifact, one.path, read_verdict(verdicts_dir, one.artifact.judged, kernel.key))
                for one in built
                if one.artifact.kind is kind and _may_serve(one.artifact, kernel, verdicts_dir)
            ]
            # The signed file of the newest build goes beside it; one of an earlier build has nothing to do with it.
            plain = [one for one in found if not one.artifact.signer]
            newest = max(plain or found, key=_last_touched, default=None)
            if newest is not None:
                yield newest
            signed = [one for one in found if newest and one.artifact.unsigned == newest.artifact.sha256]
            if signed:
                yield max(signed, key=_last_touched)


def _may_serve(artifact: Artifact, kernel: Kernel, verdicts_dir: Path) -> bool:
    """Built for this kernel, or for any, or (a shared module) said to serve it or judged on it."""
    if (artifact.serves or artifact.kernel) == kernel.key:
        return True
    if artifact.kernel == CORE_KERNEL:
        return kernel.arch == CORE_KERNEL.split("/")[1]
    return verdict_path(verdicts_dir, artifact.judged, kernel.key).is_file()


def _last_touched(candidate: Candidate) -> tuple[str, str]:
    date = candidate.verdict.date if candidate.verdict else ""
    return max(candidate.artifact.built_at, date), candidate.artifact.content_key


def _read_built(record: Path, folder: Path) -> Built:
    try:
        value: dict[str, Any] = json.loads(record.read_bytes())
        artifact = Artifact.from_json(value)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{record}: is no artifact's record: {error!r}", hint="Build it again.") from error
    return Built(artifact, folder / artifact.file_name)
