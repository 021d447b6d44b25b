"""Makes build images on an engine, and says which are there."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.images.base import Base, BasePlan, make_base
from builder.images.dockerfile import (
    BASE_LABEL,
    CURRENT,
    DOCKERFILE_LABEL,
    LABEL,
    content_tag,
    dockerfile_digest,
    render_dockerfile,
)
from builder.images.table import ImageSpec
from kdriver.core.errors import BuildError
from kdriver.executors.engine import Engine, engine_errors

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ImageListener = Callable[[str, str], None]
"""Told of an image's name and the step that begins, and in between of what the step printed last."""


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """An image to be made. force: also when the same one is there."""

    spec: ImageSpec
    base: BasePlan
    force: bool = False


@dataclass(frozen=True, slots=True)
class MadeImage:
    """An image that the engine has. id: of its content. tag: the digest of what it was made from; `current` alone
    for one that was imported. fresh: its Dockerfile is the one that would be rendered now."""

    name: str
    reference: str
    id: str
    tag: str
    size_bytes: int
    fresh: bool
    built: bool = False
    seconds: float = 0.0


def build_image(
    plan: ImagePlan, engine: Engine, *, log: Path, on_step: ImageListener = lambda name, step: None
) -> MadeImage:
    """Make an image, unless one of the same Dockerfile and base is there, and call it current.

    Raises EngineError, BuildError with the first line that says why a step of the Dockerfile failed."""
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    client = engine.connect()
    try:
        on_step(plan.spec.name, f"base: {plan.base}")
        base = make_base(plan.base, plan.spec, client, engine, log)
        text = render_dockerfile(plan.spec, base.image, own_sources=base.own_sources)
        tag = content_tag(text, base.digest)
        reference = f"{plan.spec.repository}:{tag}"
        image = None if plan.force else _find(client, reference)
        built = image is None
        if image is None:
            on_step(plan.spec.name, "packages")
            _build(client, plan, text, base, reference, log, on_step)
            with engine_errors(f"image {reference}"):
                image = client.images.get(reference)
        with engine_errors(f"image {reference}"):
            image.tag(plan.spec.repository, CURRENT)
        seconds = time.monotonic() - started
        return _made(plan.spec, image, tag, built=built, seconds=seconds)
    finally:
        client.close()


def find_image(client: DockerClient, spec: ImageSpec) -> MadeImage | None:
    """The image that is used for a spec now, None when the engine has none."""
    image = _find(client, f"{spec.repository}:{CURRENT}")
    return None if image is None else _made(spec, image, _content_tag_of(image, spec))


def list_images(client: DockerClient, specs: tuple[ImageSpec, ...]) -> dict[str, MadeImage]:
    """The images that are used now, by name."""
    found = {}
    with engine_errors("images"):
        there = {plain_name(str(tag)) for image in client.images.list() for tag in image.tags}
    for spec in specs:
        if f"{spec.repository}:{CURRENT}" in there:
            made = find_image(client, spec)
            if made is not None:
                found[spec.name] = made
    return found


def remove_old_images(client: DockerClient, specs: tuple[ImageSpec, ...]) -> tuple[str, ...]:
    """Remove builds of these images that are not current, and bases that nothing is made of; the names of all."""
    repositories = {spec.repository: spec for spec in specs}
    current = {name: made.id for name, made in list_images(client, specs).items()}
    removed = []
    with engine_errors("images"):
        for image in client.images.list():
            for tag in map(str, image.tags):
                repository, _, word = plain_name(tag).rpartition(":")
                spec = repositories.get(repository)
                old = spec is not None and word != CURRENT and image.id != current.get(spec.name)
                if old or repository.startswith("kdriver/base-"):
                    client.images.remove(tag, noprune=False)
                    removed.append(plain_name(tag))
    return tuple(removed)


def _build(
    client: DockerClient, plan: ImagePlan, text: str, base: Base, reference: str, log: Path, on_step: ImageListener
) -> None:
    """One run of the engine's builder; what it prints goes to the log."""
    spec = plan.spec
    labels = {LABEL: spec.name, DOCKERFILE_LABEL: dockerfile_digest(text), BASE_LABEL: base.digest}
    printed: list[str] = []
    with engine_errors(f"image {spec.name}"), log.open("a") as out:
        stream = client.api.build(
            fileobj=io.BytesIO(text.encode()),
            tag=reference,
            labels=labels,
            # Where the engine has no bridge, as ci/engine starts it, there is no other network.
            network_mode="host",
            nocache=plan.force,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for message in stream:
            # The engine colours what goes to stderr.
            piece = _COLOUR.sub("", str(message.get("stream") or message.get("error") or ""))
            out.write(piece)
            out.flush()
            lines = [line.strip() for line in piece.splitlines() if line.strip()]
            printed += lines
            if lines:
                on_step(spec.name, f"packages: {lines[-1][:60]}")
            if message.get("error"):
                raise BuildError(f"image {spec.name}: {_reason(printed)}", hint=f"Read {log}.")


def _reason(printed: list[str]) -> str:
    """The line that says why: the package manager's own error, else what the engine said last."""
    return next((line for line in printed if line.startswith(("E: ", "Error: ", "Err:"))), printed[-1])


def _find(client: DockerClient, reference: str) -> Image | None:
    import docker.errors

    with engine_errors(f"image {reference}"):
        try:
            return client.images.get(reference)
        except docker.errors.ImageNotFound:
            return None


def _made(spec: ImageSpec, image: Image, tag: str, *, built: bool = False, seconds: float = 0.0) -> MadeImage:
    digests = {dockerfile_digest(render_dockerfile(spec, own_sources=own)) for own in (False, True)}
    fresh = image.labels.get(DOCKERFILE_LABEL) in digests
    size_bytes = int(image.attrs.get("Size") or 0)
    reference = f"{spec.repository}:{tag}"
    return MadeImage(spec.name, reference, str(image.id), tag, size_bytes, fresh, built, seconds)


def _content_tag_of(image: Image, spec: ImageSpec) -> str:
    tags = [plain_name(str(tag)) for tag in image.tags]
    own = [tag.rpartition(":")[2] for tag in tags if tag.rpartition(":")[0] == spec.repository]
    return next((tag for tag in own if tag != CURRENT), CURRENT)


def plain_name(tag: str) -> str:
    """podman calls an image without a registry `localhost/…` or `docker.io/…`."""
    return tag.removeprefix("localhost/").removeprefix("docker.io/")
