"""`kdriver repo init|refresh|check`: a signed repository and its keys."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from kdriver.core.console import STDERR, print_json, size
from kdriver.core.errors import ExitCode


@click.group(name="repo")
def command() -> None:
    """Make a signed repository, renew its signatures, check it."""


@command.command()
@click.option("--repo", type=click.Path(path_type=Path), required=True, help="The repository's folder.")
@click.option("--keys", type=click.Path(path_type=Path), required=True, help="Folder for the private keys.")
@click.option(
    "--reuse-keys", is_flag=True, help="Sign with the keys that are in the folder instead of making new ones."
)
@click.option(
    "--bins",
    type=click.Choice(["16", "256", "1024", "4096"]),
    default="256",
    show_default=True,
    help="Lists of files: a host reads one of them. 256 suit ten thousand files, 1024 a hundred thousand.",
)
@click.option("--root-days", type=click.IntRange(1), default=1825, show_default=True, help="Life of the root.")
@click.option(
    "--targets-days", type=click.IntRange(1), default=365, show_default=True, help="Life of the lists of files."
)
@click.option("--snapshot-days", type=click.IntRange(1), default=30, show_default=True, help="Life of the snapshot.")
@click.option("--timestamp-days", type=click.IntRange(1), default=30, show_default=True, help="Life of the timestamp.")
@click.option("--dry-run", "-n", is_flag=True, help="Check that it can be made, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def init(
    repo: Path,
    keys: Path,
    reuse_keys: bool,
    bins: str,
    root_days: int,
    targets_days: int,
    snapshot_days: int,
    timestamp_days: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make an empty repository and four ed25519 keys (root, targets, snapshot, timestamp).

    Hosts trust REPO/metadata/1.root.json: give them that file. root.pem is needed only to change keys or to renew the
    root: move it to a safe place. A repository that publishes rarely must run `kdriver repo refresh` before its
    timestamp expires, or be made with a longer --timestamp-days.

    \b
    Examples:
      kdriver repo init --repo ./repository --keys ./keys
      kdriver repo init --repo ./far --keys ./keys --timestamp-days 365
    """
    from kdriver.repository import keys as signing
    from kdriver.repository import layout, metadata
    from kdriver.repository.store import FolderStore

    policy = signing.Policy(int(bins).bit_length() - 1, root_days, targets_days, snapshot_days, timestamp_days)
    store = FolderStore(repo)
    root_file = repo / layout.metadata_path("root", 1)
    metadata.require_empty(store)
    if dry_run:
        _say_what_init_would_do(repo, keys, reuse_keys, root_file, as_json)
        return
    signers = signing.load_keys(keys) if reuse_keys else signing.make_keys(keys, policy)
    with store.locked():
        root = metadata.create(store, signers)
    if as_json:
        print_json({"repo": str(repo), "root": str(root_file), "keys": str(keys), "root_expires": str(root.expires)})
        return
    click.echo(f"{repo}: made, {bins} hash bins, root valid until {root.expires:%Y-%m-%d}")
    click.echo(f"{root_file}: give this file to the hosts that shall trust the repository (--trust)")
    STDERR.print(f"{keys / signing.key_file('root')}: move it offline; publishing does not need it")


def _say_what_init_would_do(repo: Path, keys: Path, reuse_keys: bool, root_file: Path, as_json: bool) -> None:
    from kdriver.repository import keys as signing

    if reuse_keys:
        signing.load_keys(keys)
    else:
        signing.require_no_keys(keys)
    if as_json:
        print_json({"repo": str(repo), "root": str(root_file), "keys": str(keys), "dry_run": True})
        return
    click.echo(f"{keys}: {'the keys there would be used' if reuse_keys else 'four new keys would be made'}")
    click.echo(f"{root_file}: would be made")


@command.command()
@click.option("--repo", type=click.Path(path_type=Path), required=True, help="The repository's folder.")
@click.option("--keys", type=click.Path(path_type=Path), required=True, help="Folder of the private keys.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def refresh(repo: Path, keys: Path, as_json: bool) -> None:
    """Sign the snapshot and the timestamp anew, and whatever has used up half of its life. Run it daily.

    The root is renewed when it is due and root.pem is in the keys folder.

    \b
    Example:
      kdriver repo refresh --repo ./repository --keys ./keys
    """
    from kdriver.repository import keys as signing
    from kdriver.repository.metadata import SignedMetadata
    from kdriver.repository.store import FolderStore

    store = FolderStore(repo)
    signers = signing.load_keys(keys)
    with store.locked():
        metadata = SignedMetadata(store, signers)
        renewed = metadata.refresh()
    expires = metadata.timestamp.expires
    if as_json:
        print_json({"repo": str(repo), "version": metadata.version, "renewed": list(renewed), "expires": str(expires)})
        return
    click.echo(f"{repo}: signed {len(renewed)} roles anew; valid until {expires:%Y-%m-%d %H:%M} UTC")


@command.command()
@click.option("--repo", type=click.Path(path_type=Path), required=True, help="The repository's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(repo: Path, as_json: bool) -> int:
    """Check every signature, digest and reference of a repository folder. Exit status 6 when anything is wrong.

    \b
    Example:
      kdriver repo check --repo ./repository
    """
    from kdriver.repository.check import check_repository
    from kdriver.repository.store import FolderStore

    report = check_repository(FolderStore(repo))
    if as_json:
        values = {field.name: getattr(report, field.name) for field in fields(report)}
        print_json({"repo": str(repo), **values, "faults": list(report.faults)})
    else:
        for fault in report.faults:
            click.echo(fault)
        click.echo(
            f"{repo}: {report.kernels} kernels, {report.targets} files of {size(report.size_bytes)},"
            f" {report.aliases} other names, {len(report.faults)} faults"
        )
    return int(ExitCode.INTEGRITY if report.faults else ExitCode.DONE)
