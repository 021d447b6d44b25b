"""`kdriver images list|render|build|export|import|prune`: what kernels are built in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdriver.core.console import print_json, print_table, progress, size
from kdriver.core.errors import ExitCode, KdriverError
from kdriver.core.paths import cache_dir
from kdriver.core.process import stopped_by_sigterm

if TYPE_CHECKING:
    from builder.images.build import ImagePlan, MadeImage
    from builder.images.table import ImageSpec
    from kernel_index.table import DistroRow


@click.group(name="images")
def command() -> None:
    """Images that drivers are built in: one for each distribution release, with the compiler of its kernels.

    `kdriver build` uses them by itself where this machine does not have a kernel's own compiler. They are made and kept
    by docker or podman; an engine is found by KDRIVER_ENGINE, DOCKER_HOST or its usual sockets.

    \b
    Examples:
      kdriver images list
      kdriver images build debian13
      kdriver images build debian13 --base mmdebstrap    # without any registry, from this machine's mirror
      kdriver images export --out images.tar             # and on a machine without internet:
      kdriver images import images.tar
    """


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: a list of images.")
def list_command(as_json: bool) -> None:
    """List the images, each with its base, its compilers, and its size where the engine has it.

    \b
    HERE:
      252.4 MB      the engine has it, and it is what would be made now
      old 252.4 MB  the same, from another Dockerfile or imported; it is used
      -             it is not there
      none          none builds for this release; the last column says why

    \b
    Examples:
      kdriver images list
      kdriver images list --json
    """
    from builder.images.table import image_name, image_specs, why_not
    from kernel_index.table import load_table

    rows = load_table()
    specs = {spec.name: spec for spec in image_specs(rows)}
    made, engine = _made(tuple(specs.values()))
    found: list[dict[str, Any]] = [
        _json_row(name, rows_of, specs.get(name), made.get(name), why)
        for name, rows_of, why in _listed(rows, specs, image_name, why_not)
    ]
    if as_json:
        print_json(found)
        return
    print_table(("IMAGE", "BASE", "COMPILERS", "HERE", "ALSO FOR"), [_cells(one) for one in found], by_first=True)
    if not engine:
        click.echo("kdriver: no container engine answers on this machine, so none of them is there", err=True)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--base", help="What FROM names, instead of the release's image.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: image names and their Dockerfiles.")
def render(names: tuple[str, ...], base: str | None, as_json: bool) -> None:
    """Print the Dockerfile of images, for those who build with other tools.

    \b
    Examples:
      kdriver images render centos7
      kdriver images render debian13 --base debian:13-slim | docker build -
    """
    from builder.images.dockerfile import render_dockerfile

    found = [(spec.name, render_dockerfile(spec, base or "")) for spec in _select(names)]
    if as_json:
        print_json([{"name": name, "dockerfile": text} for name, text in found])
        return
    for _, text in found:
        click.echo(text, nl=False)


@command.command()
@click.argument("names", nargs=-1, metavar="[IMAGE...]")
@click.option(
    "--base",
    metavar="BASE",
    help="mmdebstrap (releases of Debian, from this machine's mirror), a tar archive, or an image of the engine or a "
    "registry.  [default: the release's own, of its registry]",
)
@click.option("--all", "every", is_flag=True, help="All images of the table.")
@click.option("--force", is_flag=True, help="Make an image again that is there.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: a list of images.")
def build(names: tuple[str, ...], base: str | None, every: bool, force: bool, dry_run: bool, as_json: bool) -> int:
    """Make images on this machine's container engine.

    The tag is a digest of the Dockerfile and its base: the same image is made once. The name is an image's of
    `kdriver images list` or a distribution release's.

    \b
    Examples:
      kdriver images build centos7
      kdriver images build debian11 debian13 --base mmdebstrap
      kdriver images build rhel8 --base registry.example/almalinux:8

    Exit status: 0 all made or there, 1 some of several failed, 3 no such image, 4 the one image failed.
    """
    from builder.images.base import plan_base
    from builder.images.build import ImagePlan

    if bool(names) == every:
        raise click.UsageError("name images, or give --all")
    plans = [ImagePlan(spec, plan_base(spec, base), force) for spec in _select(names)]
    if dry_run:
        _print_plans(plans, as_json)
        return int(ExitCode.DONE)
    made: list[MadeImage] = []
    failed: list[KdriverError] = []
    with stopped_by_sigterm(), _steps([plan.spec.name for plan in plans]) as on_step:
        for plan in plans:
            try:
                made.append(_build_one(plan, on_step))
            except KdriverError as error:
                if len(plans) == 1:
                    raise
                failed.append(error)
    _print_made(made, as_json)
    for fault in failed:
        click.echo(f"kdriver: {fault.message}", err=True)
        if fault.hint:
            click.echo(f"  hint: {fault.hint}", err=True)
    return int(ExitCode.SOME_FAILED if failed else ExitCode.DONE)


@command.command()
@click.argument("names", nargs=-1, metavar="[IMAGE...]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export(names: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Write images, all that are there or those named, to one file for a site without internet.

    \b
    Examples:
      kdriver images export --out images.tar
      kdriver images export centos7 debian12 --out images.tar
    """
    import hashlib

    from builder.images.exchange import export_images
    from kdriver.core.errors import NotFoundError
    from kdriver.executors.engine import require_engine

    engine = require_engine()
    specs = _select(names)
    made, _ = _made(specs)
    missing = [spec.name for spec in specs if spec.name not in made]
    if (names and missing) or not made:
        raise NotFoundError(
            f"image {missing[0]}: the engine does not have it", hint=f"Make it: kdriver images build {missing[0]}"
        )
    chosen = [made[spec.name] for spec in specs if spec.name in made]
    with stopped_by_sigterm(), _steps([one.name for one in chosen]) as on_step:
        carried = export_images(chosen, out, engine, on_step=on_step)
    with out.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    if as_json:
        images = [{"name": one.name, "reference": one.reference, "sha256": one.sha256} for one in carried]
        print_json({"file": str(out), "sha256": digest, "size_bytes": out.stat().st_size, "images": images})
        return
    click.echo(f"{out}: {', '.join(one.name for one in carried)}, {size(out.stat().st_size)}, sha256 {digest}")


@command.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as", "name", metavar="IMAGE", help="Call the file's one image so; needed for a plain root file system."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: a list of images.")
def import_command(file: Path, name: str | None, as_json: bool) -> None:
    """Take the images of a file of `kdriver images export`; each digest is checked before the engine gets it.

    A tar archive of a root file system (of `docker export`, of mmdebstrap) is taken as well. With --as an image stands
    in for another one: for CentOS 7 say, one that you made with the compiler that you trust.

    \b
    Examples:
      kdriver images import images.tar
      kdriver images import my-build-root.tar --as centos7

    Exit status: 0 done, 2 no such file or it says not for which image, 3 no such image, 6 a digest is wrong.
    """
    from builder.images.exchange import import_images
    from builder.images.table import image_specs
    from kdriver.executors.engine import require_engine
    from kernel_index.table import load_table

    chosen = _select([name])[0] if name else None
    engine = require_engine()
    with stopped_by_sigterm(), _steps([name or file.name]) as on_step:
        made = import_images(file, image_specs(load_table()), engine, name=chosen, on_step=on_step)
    _print_made(made, as_json)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def prune(as_json: bool) -> None:
    """Remove what is no longer used: older builds of the images, their bases, and containers of runs that were killed.

    \b
    Example:
      kdriver images prune
    """
    from builder.images.build import remove_old_images
    from builder.images.table import image_specs
    from kdriver.executors.container import prune_containers
    from kdriver.executors.engine import require_engine
    from kernel_index.table import load_table

    client = require_engine().connect()
    try:
        containers = prune_containers(client)
        images = remove_old_images(client, image_specs(load_table()))
    finally:
        client.close()
    if as_json:
        print_json({"images": list(images), "containers": containers})
        return
    for name in images:
        click.echo(f"{name}: removed")
    click.echo(f"{len(images)} images and {containers} containers removed")


def _select(names: Sequence[str]) -> tuple[ImageSpec, ...]:
    """The images of those names, all without names. Raises NotFoundError."""
    from builder.images.table import image_specs, select_specs
    from kernel_index.table import load_table

    rows = load_table()
    specs = image_specs(rows)
    return select_specs(specs, names, rows) if names else specs


def _made(specs: tuple[ImageSpec, ...]) -> tuple[dict[str, MadeImage], str]:
    """The images that the engine has, by name, and the engine in words; nothing where there is none."""
    from builder.images.build import list_images
    from kdriver.executors.engine import find_engine

    engine = find_engine()
    if engine is None:
        return {}, ""
    client = engine.connect()
    try:
        return list_images(client, specs), str(engine)
    finally:
        client.close()


def _build_one(plan: ImagePlan, on_step: Callable[[str, str], None]) -> MadeImage:
    from builder.images.build import build_image
    from kdriver.executors.engine import require_engine

    log = cache_dir() / "logs" / "images" / f"{plan.spec.name}.log"
    try:
        return build_image(plan, require_engine(), log=log, on_step=on_step)
    finally:
        on_step(plan.spec.name, "")


@contextmanager
def _steps(names: Sequence[str]) -> Iterator[Callable[[str, str], None]]:
    """A line for each image that is at work, with what it does; the empty step ends it."""
    lock = threading.Lock()
    with progress() as display:
        tasks = {name: display.add_task(name, total=None, note="", visible=False) for name in names}

        def on_step(name: str, step: str) -> None:
            with lock:
                if name not in tasks:
                    tasks[name] = display.add_task(name, total=None, note="", visible=False)
                display.update(tasks[name], note=step, visible=bool(step))

        yield on_step


def _listed(
    rows: Sequence[DistroRow],
    specs: dict[str, ImageSpec],
    image_name: Callable[[DistroRow], str],
    why_not: Callable[[DistroRow], str],
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Names of images with the rows that they serve, in the table's order; rows without one with the reason."""
    serves: dict[str, list[str]] = {name: [] for name in specs}
    for row in rows:
        if why_not(row):
            yield row.id, (), why_not(row)
        else:
            serves[image_name(row)].append(row.id)
    for name, of in serves.items():
        yield name, tuple(of), ""


def _json_row(
    name: str, serves: tuple[str, ...], spec: ImageSpec | None, made: MadeImage | None, why: str
) -> dict[str, Any]:
    state = "none" if spec is None else "-" if made is None else "made" if made.fresh else "old"
    return {
        "name": name,
        "serves": list(serves),
        "why_not": why,
        "base": spec.row.image if spec is not None else "",
        "compilers": [one for one in spec.packages if one.startswith(("gcc", "clang"))] if spec is not None else [],
        "state": state,
        "id": made.id if made is not None else "",
        "tag": made.tag if made is not None else "",
        "size_bytes": made.size_bytes if made is not None else 0,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row for a person; `docker.io/` goes without saying."""
    base = row["base"].removeprefix("docker.io/").removeprefix("library/")
    weight = size(row["size_bytes"])
    here = {"made": weight, "old": f"old {weight}"}.get(row["state"], row["state"])
    also = ", ".join(one for one in row["serves"] if one != row["name"])
    return row["name"], base, " ".join(row["compilers"]), here, also or row["why_not"]


def _print_plans(plans: Sequence[ImagePlan], as_json: bool) -> None:
    if as_json:
        print_json(
            [{"name": one.spec.name, "base": str(one.base), "packages": list(one.spec.packages)} for one in plans]
        )
        return
    cells = [(plan.spec.name, str(plan.base), " ".join(plan.spec.packages)) for plan in plans]
    print_table(("image", "base", "packages"), cells, by_first=True)


def _print_made(made: Sequence[MadeImage], as_json: bool) -> None:
    if as_json:
        keys = ("name", "reference", "id", "tag", "size_bytes", "fresh", "built", "seconds")
        print_json([{key: getattr(one, key) for key in keys} for one in made])
        return
    cells = [(one.name, one.reference, size(one.size_bytes), f"{one.seconds:.1f}") for one in made]
    print_table(("image", "reference", "size", "seconds"), cells)
