"""What a build image is made on: an image of a registry or of the engine, a tar archive, or what mmdebstrap makes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from builder.images.dockerfile import is_frozen
from builder.images.table import ImageSpec
from kdriver.core.errors import BuildError, ConfigError
from kdriver.core.process import run_logged
from kdriver.executors.engine import Engine, EngineError, engine_errors
from kernel_index.sources import archive_mirrors
from kernel_index.table import DistroRow

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

MMDEBSTRAP = "mmdebstrap"
_TIMEOUT_S = 1800.0
_DIGITS = 12


class BaseKind(StrEnum):
    """Where a base comes from."""

    REGISTRY = "registry"
    TARBALL = "tarball"
    MMDEBSTRAP = "mmdebstrap"


@dataclass(frozen=True, slots=True)
class BasePlan:
    """kind: where from. reference: the image's name, or the path of the archive; of mmdebstrap the suite."""

    kind: BaseKind
    reference: str

    def __str__(self) -> str:
        return {
            BaseKind.REGISTRY: f"image {self.reference}",
            BaseKind.TARBALL: f"archive {self.reference}",
            BaseKind.MMDEBSTRAP: f"{MMDEBSTRAP} {self.reference}",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Base:
    """A base that the engine has. image: what FROM names. digest: what identifies its content.
    own_sources: it knows where its packages come from."""

    image: str
    digest: str
    own_sources: bool


def plan_base(spec: ImageSpec, word: str | None) -> BasePlan:
    """What `--base` means for an image. None: the row's image of its registry. Raises ConfigError."""
    if not word or word == BaseKind.REGISTRY:
        return BasePlan(BaseKind.REGISTRY, spec.row.image)
    if word == MMDEBSTRAP:
        if spec.row.family != "debian":
            raise ConfigError(
                f"image {spec.name}: mmdebstrap makes releases of Debian, not {spec.row.title}",
                hint="Name an image or a tar archive with --base.",
            )
        return BasePlan(BaseKind.MMDEBSTRAP, spec.row.codename)
    path = Path(word)
    if word.startswith(("/", "./", "../")) or re.search(r"\.tar(\.\w+)?$|\.tgz$", word):
        if not path.is_file():
            raise ConfigError(f"--base {word}: there is no such file")
        return BasePlan(BaseKind.TARBALL, str(path.absolute()))
    return BasePlan(BaseKind.REGISTRY, word)


def mmdebstrap_argv(row: DistroRow, out: Path) -> list[str]:
    """The command line that makes the smallest root file system of a Debian release, from the host's own mirror."""
    archive = row.archives[0]
    suite = archive.suites[0]
    keyring = archive.keyring or row.keyring
    options = f"[signed-by={keyring}] " if archive.archived and keyring else ""
    argv = [
        MMDEBSTRAP,
        "--variant=minbase",
        "--mode=root" if os.getuid() == 0 else "--mode=unshare",
        "--format=tar",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
    ]
    if is_frozen(row):
        argv.append('--aptopt=Acquire::Check-Valid-Until "false"')
    mirrors = archive_mirrors(row, archive)
    return [*argv, suite, str(out), f"deb {options}{mirrors[0]} {suite} {' '.join(archive.components)}"]


def make_base(plan: BasePlan, spec: ImageSpec, client: DockerClient, engine: Engine, log: Path) -> Base:
    """Have the base on the engine. Raises EngineError; BuildError when mmdebstrap fails or is not installed."""
    if plan.kind is BaseKind.REGISTRY:
        return _from_engine(plan.reference, client, engine)
    if plan.kind is BaseKind.TARBALL:
        return _import(Path(plan.reference), spec, client, engine)
    with tempfile.TemporaryDirectory(prefix="kdriver-base-") as scratch:
        tar = Path(scratch) / "base.tar"
        if shutil.which(MMDEBSTRAP) is None:
            raise BuildError(f"{MMDEBSTRAP}: is not installed", hint=f"apt-get install {MMDEBSTRAP}")
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C"}
        done = run_logged(mmdebstrap_argv(spec.row, tar), log=log, timeout_s=_TIMEOUT_S, env=environment)
        if not done.ok:
            said = next((line for line in done.tail(40).splitlines() if line.startswith("E:")), done.tail(1))
            raise BuildError(f"image {spec.name}: {MMDEBSTRAP}: {said}", hint=f"Read {log}.")
        return _import(tar, spec, client, engine, own_sources=True)


def _from_engine(reference: str, client: DockerClient, engine: Engine) -> Base:
    """An image that the engine has, else pulled from its registry."""
    import docker.errors

    with engine_errors(f"image {reference}"):
        try:
            image = client.images.get(reference)
        except docker.errors.ImageNotFound:
            name, _, tag = reference.rpartition(":")
            short = not name or "/" in tag
            image = client.images.pull(reference if short else name, tag="latest" if short else tag)
        digests = [str(one).partition("@")[2] for one in image.attrs.get("RepoDigests") or ()]
        return Base(reference, digests[0] if digests else str(image.id), own_sources=False)


def _import(tar: Path, spec: ImageSpec, client: DockerClient, engine: Engine, *, own_sources: bool = False) -> Base:
    """A root file system as an image, named by the digest of its archive: the same one is imported once."""
    import docker.errors

    with tar.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    repository, tag = f"kdriver/base-{spec.row.id}", digest[:_DIGITS]
    with engine_errors(f"image {repository}:{tag}"):
        try:
            image = client.images.get(f"{repository}:{tag}")
        except docker.errors.ImageNotFound:
            image = import_root(client, tar, repository, tag)
        # As the engine calls it: podman puts a registry before it.
        name = next((str(one) for one in image.tags if str(one).endswith(f"{repository}:{tag}")), str(image.id))
    return Base(name, f"sha256:{digest}", own_sources)


def import_root(client: DockerClient, tar: Path, repository: str, tag: str, changes: tuple[str, ...] = ()) -> Image:
    """A root file system as an image of that name. Raises what the client raises."""
    answer = client.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=list(changes))
    found = re.findall(r"sha256:[0-9a-f]{64}", str(answer))
    if not found:
        raise EngineError(f"image {repository}:{tag}: the engine did not take {tar.name}: {str(answer).strip()[-200:]}")
    image = client.images.get(found[-1])
    image.tag(repository, tag)  # podman's service does not heed the tag of an import, and takes `latest`
    for name in client.images.get(found[-1]).tags:
        if str(name).endswith(f"{repository}:latest"):
            client.images.remove(str(name), noprune=True)
    return client.images.get(found[-1])
