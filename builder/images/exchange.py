"""Carries build images to a site without a network: all in one file, each digest checked before an engine takes it.

The file is a tar archive: first `kdriver-images.json`, then each image as the engine saves it, packed with zstd. The
document is `{"format": 1, "images": [{"name", "reference", "file", "sha256", "size_bytes", "layers"}]}`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from builder.images.base import import_root
from builder.images.build import ImageListener, MadeImage, find_image, plain_name
from builder.images.dockerfile import CURRENT, LABEL
from builder.images.table import ImageSpec
from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.executors.engine import Engine, engine_errors

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from docker import DockerClient

MANIFEST = "kdriver-images.json"
_FORMAT = 1
_CHUNK = 1 << 20
_MANIFEST_BYTES = 1 << 20
_NAMING = ("manifest.json", "repositories", "index.json")
_DAMAGED = (tarfile.TarError, ValueError, AttributeError, TypeError, EOFError, RecursionError)
_CONTAINERD_NAME = "io.containerd.image.name"


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; empty at the end."""
        ...


@dataclass(frozen=True, slots=True)
class CarriedImage:
    """One image of a file. sha256, size_bytes: of its packed archive. layers: digests of its layers' content, which
    every engine agrees on."""

    name: str
    reference: str
    file: str
    sha256: str
    size_bytes: int
    layers: tuple[str, ...]


def export_images(
    images: Sequence[MadeImage], out: Path, engine: Engine, *, on_step: ImageListener = lambda name, step: None
) -> tuple[CarriedImage, ...]:
    """Write images to one file, whole or not at all. Raises EngineError, OSError."""
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    client = engine.connect()
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            carried = tuple(_save(client, image, Path(scratch), on_step) for image in images)
            partial = Path(scratch) / "out"
            with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
                document = {"format": _FORMAT, "images": [asdict(one) for one in carried]}
                _add(tar, MANIFEST, (json.dumps(document, indent=2) + "\n").encode())
                for one in carried:
                    tar.add(Path(scratch) / one.file, arcname=one.file, filter=_plain_member)
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.chmod(0o644)
            partial.replace(out)
    finally:
        client.close()
    return carried


def read_manifest(file: Path) -> tuple[CarriedImage, ...]:
    """What a file carries; empty for a tar archive that kdriver did not write. Raises ConfigError for anything else,
    IntegrityError when its document is of another shape."""
    try:
        with tarfile.open(file, "r:*") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST:
                return ()
            if first.size > _MANIFEST_BYTES:
                raise IntegrityError(f"{file}: {MANIFEST} is larger than {_MANIFEST_BYTES} bytes")
            content = tar.extractfile(first)
            document = json.loads(content.read() if content is not None else b"")
            if document["format"] != _FORMAT:
                raise IntegrityError(
                    f"{file}: is of format {document['format']}, {_FORMAT} was expected", hint="Use a newer kdriver."
                )
            return tuple(CarriedImage(**{**one, "layers": tuple(one["layers"])}) for one in document["images"])
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: there is no such file") from error
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", hint="Name a file of kdriver images export.") from error
    except tarfile.TarError as error:
        raise ConfigError(
            f"{file}: is no tar archive: {error}", hint="Name a file of kdriver images export."
        ) from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{file}: {MANIFEST} is not what kdriver images export writes") from error


def import_images(
    file: Path,
    specs: Sequence[ImageSpec],
    engine: Engine,
    *,
    name: ImageSpec | None = None,
    on_step: ImageListener = lambda name, step: None,
) -> tuple[MadeImage, ...]:
    """Take the images of a file, and call each current. name: of the one image of the file, instead of its own; of a
    plain root file system it must be given.

    Raises IntegrityError when an image is not what the file promises, before an engine gets it; ConfigError,
    NotFoundError for an image that no spec has, EngineError."""
    carried = read_manifest(file)
    if name is not None and len(carried) > 1:
        raise ConfigError(
            f"{file}: carries {len(carried)} images, and one was expected for another name",
            hint="Export that one alone: kdriver images export NAME",
        )
    if not carried and name is None:
        raise ConfigError(
            f"{file}: was not written by kdriver images export, so it does not say which image it is",
            hint="Say for which with --as, such as --as centos7.",
        )
    client = engine.connect()
    try:
        if not carried:
            assert name is not None
            return (_import_root(client, file, name, on_step),)
        by_name = {spec.name: spec for spec in specs}
        pairs = [(one, name or by_name.get(one.name)) for one in carried]
        for one, spec in pairs:
            if spec is None:
                raise NotFoundError(f"{file}: image {one.name!r} is not known", hint="Give it a name with --as.")
        return tuple(_load(client, file, one, spec, on_step) for one, spec in pairs if spec is not None)
    finally:
        client.close()


def _save(client: DockerClient, image: MadeImage, scratch: Path, on_step: ImageListener) -> CarriedImage:
    name = f"{image.name}.tar.zst"
    on_step(image.name, "save")
    digest, written = hashlib.sha256(), 0
    with engine_errors(f"image {image.reference}"):
        found = client.images.get(image.reference)
        packer = zstd.ZstdCompressor(level=6)
        with (scratch / name).open("wb") as out:
            for piece in _packed(packer, client.api.get_image(image.reference, chunk_size=_CHUNK)):
                out.write(piece)
                digest.update(piece)
                written += len(piece)
        layers = tuple(found.attrs["RootFS"]["Layers"])
    return CarriedImage(image.name, image.reference, name, digest.hexdigest(), written, layers)


def _packed(packer: Any, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _load(
    client: DockerClient, file: Path, carried: CarriedImage, spec: ImageSpec, on_step: ImageListener
) -> MadeImage:
    on_step(spec.name, "check")
    _check(file, carried)
    check_names(file, carried)
    on_step(spec.name, "load")
    with (
        engine_errors(f"image {carried.reference}"),
        _member(file, carried) as packed,
        zstd.open(packed, "rb") as plain,
    ):
        client.images.load(plain)
        image = client.images.get(carried.reference)
        if LABEL not in image.labels:
            client.images.remove(carried.reference, force=True)
            raise IntegrityError(f"{file}: image {carried.name}: is no build image: it has no label {LABEL}")
        if tuple(image.attrs["RootFS"]["Layers"]) != carried.layers:
            client.images.remove(carried.reference, force=True)
            raise IntegrityError(f"{file}: image {carried.name}: its layers are not those that the file promises")
        tag = carried.reference.rpartition(":")[2]
        image.tag(spec.repository, tag)
        image.tag(spec.repository, CURRENT)
    return _found(client, spec)


def _check(file: Path, carried: CarriedImage) -> None:
    """Compare an image's packed archive with what the file's document says of it."""
    digest, size_bytes = hashlib.sha256(), 0
    with _member(file, carried) as packed:
        while piece := packed.read(_CHUNK):
            digest.update(piece)
            size_bytes += len(piece)
    if (digest.hexdigest(), size_bytes) != (carried.sha256, carried.size_bytes):
        raise IntegrityError(
            f"{file}: image {carried.name}: sha256 {digest.hexdigest()[:16]}… of {size_bytes} bytes, "
            f"{carried.sha256[:16]}… of {carried.size_bytes} was expected",
            hint="Copy the file again; nothing of it was taken.",
        )


def check_names(file: Path, carried: CarriedImage) -> None:
    """Refuse an image that calls itself anything but what the document says: an engine gives it every name that its own
    archive holds, and takes that name from whatever had it."""
    if not re.fullmatch(rf"kdriver/{re.escape(carried.name)}:[\w.-]+", carried.reference):
        raise IntegrityError(
            f"{file}: image {carried.name}: calls itself {carried.reference!r}, not kdriver/{carried.name}:TAG",
            hint="Export it again with kdriver images export.",
        )
    with _member(file, carried) as packed, zstd.open(packed, "rb") as plain:
        try:
            names = archive_names(plain)
        except (*_DAMAGED, zstd.ZstdError) as error:
            raise IntegrityError(f"{file}: image {carried.name}: is no archive of an image: {error}") from error
    others = sorted({plain_name(name) for name in names} - {carried.reference})
    if others:
        raise IntegrityError(
            f"{file}: image {carried.name}: its archive would also take the name {others[0]}; nothing of it was taken",
            hint="Export it again with kdriver images export.",
        )


def archive_names(archive: Readable) -> set[str]:
    """All names that an engine would give the images of an archive of `docker save`: of its manifest, of the older list
    of repositories, and of the OCI index. Raises tarfile.TarError and ValueError for what is none, and for one in which
    these cannot be read as every engine would: each is there once, at the top, a plain file and not large."""
    names: set[str] = set()
    seen: set[str] = set()
    stream: Any = archive
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if "path" in member.pax_headers or any(key.startswith("GNU.sparse") for key in member.pax_headers):
                raise ValueError(f"{member.name!r} has a name that not everybody reads alike")
            path = posixpath.normpath(member.name).lstrip("/")
            if posixpath.basename(path) not in _NAMING:
                continue
            if path not in _NAMING:  # a link of a folder could lead it to the top
                raise ValueError(f"{member.name!r} is not where it belongs")
            if path in seen or member.size > _MANIFEST_BYTES or not member.isreg():
                raise ValueError(f"{path} is there twice, is no plain file or is larger than {_MANIFEST_BYTES} bytes")
            seen.add(path)
            content = tar.extractfile(member)
            document = json.loads(
                content.read() if content is not None else b"null", object_pairs_hook=_told_apart_by_everybody
            )
            if path == "manifest.json":
                names |= {str(name) for one in document for name in one.get("RepoTags") or ()}
            elif path == "repositories":
                names |= {f"{name}:{tag}" for name, tags in document.items() for tag in tags}
            else:
                notes = [one.get("annotations") or {} for one in document.get("manifests") or ()]
                names |= {str(one[_CONTAINERD_NAME]) for one in notes if _CONTAINERD_NAME in one}
    return names


def _told_apart_by_everybody(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Engines take keys without regard to case, and the last of equal ones. Raises ValueError."""
    known = {"repotags": "RepoTags", "manifests": "manifests", "annotations": "annotations"}
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found or known.get(key.casefold(), key) != key:
            raise ValueError(f"the key {key!r} is one that not everybody reads alike")
        found[key] = value
    return found


def _member(file: Path, carried: CarriedImage) -> IO[bytes]:
    tar = tarfile.open(file, "r:")  # noqa: SIM115 - the member reads from it
    try:
        found = tar.extractfile(carried.file)
    except KeyError as error:
        raise IntegrityError(f"{file}: image {carried.name}: {carried.file} is not in it") from error
    if found is None:
        raise IntegrityError(f"{file}: image {carried.name}: {carried.file} is no plain file")
    return found


def _import_root(client: DockerClient, file: Path, spec: ImageSpec, on_step: ImageListener) -> MadeImage:
    """A root file system, as `docker export` and mmdebstrap write it, under an image's name."""
    on_step(spec.name, "import")
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    with engine_errors(f"image {spec.repository}"):
        image = import_root(client, file, spec.repository, digest[:12], (f"LABEL {LABEL}={spec.name}",))
        image.tag(spec.repository, CURRENT)
    return _found(client, spec)


def _found(client: DockerClient, spec: ImageSpec) -> MadeImage:
    made = find_image(client, spec)
    if made is None:
        raise NotFoundError(f"image {spec.name}: the engine took it and does not have it", hint="See its log.")
    return made


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _plain_member(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o644
    return member
