"""`kdriver publish`: put drivers that passed into a signed repository."""

from __future__ import annotations

from pathlib import Path

import click

from kdriver.core.artifact import DriverKind
from kdriver.core.console import print_json, print_table, size
from kdriver.core.errors import ConfigError, ExitCode, NotFoundError
from kdriver.core.kernel import FILE, Kernel
from kdriver.core.paths import cache_dir
from kdriver.repository.gather import Built, gather, kernels_of, read_built_cache, read_built_folder
from kdriver.repository.keys import load_keys
from kdriver.repository.publish import Action, PublishStep, publish
from kdriver.repository.store import FolderStore
from kernel_index.query import KERNEL_HELP

KINDS = [str(kind) for kind in DriverKind]


@click.command(name="publish")
@click.option("--repo", type=click.Path(path_type=Path), required=True, help="The repository's folder.")
@click.option("--keys", type=click.Path(path_type=Path), required=True, help="Folder of the private keys.")
@click.option("--distro", help="Only kernels of this distribution: debian, debian12.")
@click.option("--kernel", help=f"Only this kernel. {KERNEL_HELP}")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only this kind of driver.")
@click.option("--driver-src", type=click.Path(path_type=Path), help="Only drivers of this source. [default: kdriver's]")
@click.option("--artifacts", type=click.Path(path_type=Path, exists=True), help="A folder that `build --out` wrote.")
@click.option("--capture", type=click.Path(path_type=Path, exists=True), help="The kd-capture to publish with them.")
@click.option("--include-unverified", is_flag=True, help="Publish drivers without a verdict too, marked as such.")
@click.option(
    "--include-unauthenticated",
    is_flag=True,
    help="Publish drivers of kernels whose packages no signed metadata vouches for too.",
)
@click.option(
    "--include-void",
    is_flag=True,
    help="Publish what passed by other cases, on another image or by another policy of the verifier, too.",
)
@click.option(
    "--allow-refused",
    is_flag=True,
    help="End with 0 although drivers were refused, for a CI whose verification told of them before.",
)
@click.option("--dry-run", "-n", is_flag=True, help="Say what would be published.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    repo: Path,
    keys: Path,
    distro: str | None,
    kernel: str | None,
    kinds: tuple[str, ...],
    driver_src: Path | None,
    artifacts: Path | None,
    capture: Path | None,
    include_unverified: bool,
    include_unauthenticated: bool,
    include_void: bool,
    allow_refused: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Publish drivers whose verdict is `passed`; a driver that failed is never published.

    A verdict is void once the driver, the kernel's image, the cases or the verifier's policy are others than those that
    it is about; run `kdriver verify --changed` then.

    Without --distro and --kernel: everything that was built. Killed at any moment, the repository stays valid; what was
    published before stays. The exit status is 1 when a driver was refused, 5 when it was the only one,
    0 with --allow-refused.

    \b
    Examples:
      kdriver publish --repo ./repository --keys ./keys
      kdriver publish --repo ./repository --keys ./keys --kernel newest --dry-run
    """
    signers = load_keys(keys)
    built = read_built_folder(artifacts) if artifacts else _built_here(driver_src)
    if not built:
        raise NotFoundError(
            f"{artifacts or cache_dir() / 'artifacts'}: holds no driver that was built from this driver source",
            hint="Run `kdriver build` and `kdriver verify` first.",
        )
    wanted = tuple(DriverKind(kind) for kind in kinds) or tuple(DriverKind)
    candidates = gather(
        built, _kernels(built, distro, kernel), wanted, cache_dir() / "verdicts", case_set=_case_set(driver_src)
    )
    if not candidates:
        raise NotFoundError(
            "no driver was built for these kernels and kinds", hint="Run `kdriver build` for them first."
        )
    steps = publish(
        FolderStore(repo),
        signers,
        candidates,
        include_unverified=include_unverified,
        include_unauthenticated=include_unauthenticated,
        include_void=include_void,
        capture=capture or _capture_tool(driver_src),
        dry_run=dry_run,
    )
    _print(steps, repo, dry_run, as_json)
    refused = [step for step in steps if step.action is Action.REFUSED]
    if allow_refused:
        return int(ExitCode.DONE)
    if refused and len(steps) == 1:
        return int(ExitCode.VERIFICATION)
    return int(ExitCode.SOME_FAILED if refused else ExitCode.DONE)


def _built_here(driver_src: Path | None) -> tuple[Built, ...]:
    """Drivers in the cache that were built from this driver source as it is now. The cache also holds what was built
    from earlier and from other sources: an experiment that was built last must not displace the driver."""
    from builder.source import digest_source, load_source, render_headers

    source = load_source(driver_src)
    if source.foreign is not None:
        raise ConfigError(
            f"{source.folder}: kdriver publishes kdriver's own drivers only: hosts could not talk to {source.name}",
            hint="Take the driver from `kdriver build --out` and its verdict from `kdriver verify --json`.",
        )
    generated = render_headers(source, cache_dir() / "generated")
    digests = {kind: digest_source(source, kind, generated) for kind in source.kinds}
    return tuple(
        one
        for one in read_built_cache(cache_dir() / "artifacts")
        if any(given.sha256 == digests.get(one.artifact.kind) for given in one.artifact.inputs)
    )


def _case_set(driver_src: Path | None) -> str:
    """The digest of the cases as this source has them now."""
    from builder.source import digest_cases, load_source, render_headers

    source = load_source(driver_src)
    return digest_cases(source, render_headers(source, cache_dir() / "generated"))


def _kernels(built: tuple[Built, ...], distro: str | None, kernel: str | None) -> tuple[Kernel, ...]:
    from kernel_index.query import find_kernels, find_keys

    if distro or kernel:
        return find_kernels(distro=distro, kernel=kernel)
    # A kernel from outside the index has no place in a repository: no host could find it there.
    keys = {key for key in kernels_of(built, cache_dir() / "verdicts") if not key.startswith(f"{FILE}/")}
    found = find_keys(keys)
    missing = sorted(keys - {one.key for one in found})
    if missing:
        raise NotFoundError(
            f"{missing[0]}: was built but is not in the index",
            hint="Run `kdriver index update`, or choose kernels with --distro and --kernel.",
        )
    return found


def _capture_tool(driver_src: Path | None) -> Path:
    """The static program that understands the drivers of this source; built when it is not in the cache."""
    from builder.source import load_source
    from builder.tools import build_tools

    return build_tools(source=load_source(driver_src)).capture


def _print(steps: tuple[PublishStep, ...], repo: Path, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json([step.to_json() for step in steps])
        return
    rows = [
        (
            step.candidate.kernel.key,
            str(step.candidate.artifact.kind),
            f"would be {step.action}" if dry_run and step.action is Action.PUBLISHED else str(step.action),
            step.reason,
            size(step.candidate.artifact.size_bytes),
        )
        for step in steps
    ]
    print_table(("kernel", "kind", "outcome", "reason", "size"), rows, by_first=True)
    if not dry_run and any(step.action is not Action.REFUSED for step in steps):
        click.echo(f"{repo}: serve it with `kdriver serve --repo {repo}`")
