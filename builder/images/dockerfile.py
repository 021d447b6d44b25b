"""The Dockerfile of a build image: rendered from one template for each package family; the same text, the same tag."""

from __future__ import annotations

import hashlib

from builder.images.table import ImageSpec
from kdriver.core.paths import source_dir
from kernel_index.table import DistroRow

LABEL = "io.kdriver.image"
DOCKERFILE_LABEL = "io.kdriver.dockerfile"
BASE_LABEL = "io.kdriver.base"
CURRENT = "current"
_VAULTS = {"centos7": "http://vault.centos.org", "centos8": "http://vault.centos.org"}
"""Rows whose image's own repository files name a mirror that is gone. Source: https://vault.centos.org/readme.txt"""
_DIGITS = 12


def render_dockerfile(spec: ImageSpec, base: str = "", *, own_sources: bool = False) -> str:
    """The Dockerfile. base: what FROM names (empty: the row's image). own_sources: the base already knows where its
    packages come from, as one that mmdebstrap made does."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(source_dir("templates") / "images"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(f"{spec.row.image_template}.Dockerfile.j2").render(
        name=spec.name,
        title=spec.title,
        base=base or spec.row.image,
        packages=spec.packages,
        sources=() if own_sources else apt_sources(spec.row),
        options="-o Acquire::Check-Valid-Until=false " if is_frozen(spec.row) else "",
        vault="" if own_sources else _VAULTS.get(spec.row.id, ""),
    )


def apt_sources(row: DistroRow) -> tuple[str, ...]:
    """sources.list of a release whose archives have moved; empty where the image's own are right."""
    if row.image_template != "apt":
        return ()
    archived = [one for one in row.archives if one.archived and not one.not_automatic]
    if any(not one.archived and not one.opt_in and not one.credentials for one in row.archives):
        return ()
    # Their keys have expired; the suites are what the release's pins say, and the packages only build.
    return tuple(
        f"deb [check-valid-until=no] {one.mirrors[0]} {suite} {' '.join(one.components)}"
        for one in archived
        for suite in one.suites
        if "backports" not in suite and "proposed" not in suite
    )


def is_frozen(row: DistroRow) -> bool:
    """Whether mirrors are known to let the release's suite expire: development suites, and ended ones."""
    return any(row.codename in one.accept_stale or one.archived for one in row.archives)


def dockerfile_digest(text: str) -> str:
    """SHA-256 of a rendered Dockerfile without its FROM, whose base counts on its own."""
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("FROM "))
    return hashlib.sha256(kept.encode()).hexdigest()


def content_tag(text: str, base_digest: str) -> str:
    """The tag of an image: of all that it is made from. base_digest: what identifies its base."""
    return hashlib.sha256(f"{dockerfile_digest(text)}\0{base_digest}".encode()).hexdigest()[:_DIGITS]
