"""From a host to the driver in a repository: which kernel is it there, which driver fits, fetch it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdriver.core.artifact import CORE_KERNEL, DriverKind
from kdriver.core.errors import IntegrityError, LoadError, NotFoundError
from kdriver.loader.choice import Choice, choose
from kdriver.loader.host import Host
from kdriver.repository import layout
from kdriver.repository.client import RepositoryClient
from kdriver.repository.entries import KernelEntry, KernelName, names_from_json, releases_from_json
from kernel_index.nearest import nearest_keys


def find_entry(client: RepositoryClient, host: Host) -> KernelEntry | None:
    """The entry of exactly this kernel: same release, same build, built by the same distribution; None when the
    repository has none. Raises DownloadError and IntegrityError."""
    document = client.read_json(layout.release_target(host.machine, host.release))
    if document is None:
        return None
    names: tuple[KernelName, ...] = _parsed(releases_from_json, document, host.release)
    exact = next((one for one in names if one.build == host.build and one.distro == host.distro), None)
    return read_entry(client, exact.key) if exact else None


def read_entry(client: RepositoryClient, key: str) -> KernelEntry | None:
    """A kernel's entry by its key; None when the repository has none."""
    document = client.read_json(layout.kernel_target(key))
    if document is None:
        return None
    entry: KernelEntry = _parsed(KernelEntry.from_json, document, key)
    return entry


def resolve(
    client: RepositoryClient, host: Host, kinds: tuple[DriverKind, ...], *, allow_unverified: bool = False
) -> Choice:
    """Choose the driver for this host.

    A kernel that the repository does not have gets the CO-RE object for any kernel, but only with `allow_unverified`:
    nobody tried it there. Raises NotFoundError, which names the nearest kernels, when there is nothing for this kernel.
    """
    entry = find_entry(client, host)
    if entry is not None:
        return choose(host, entry, kinds, allow_unverified=allow_unverified)
    core = read_entry(client, CORE_KERNEL) if DriverKind.CORE in kinds and host.btf else None
    if core is not None and allow_unverified:
        return choose(host, core, (DriverKind.CORE,), allow_unverified=True)
    document = client.read_json(layout.names_target(host.machine))
    keys: tuple[str, ...] = _parsed(names_from_json, document, "names") if document is not None else ()
    near = nearest_keys(host.release, host.build, keys)
    listed = f"; nearest: {', '.join(near)}" if near else f"; it has no kernel of {host.machine}"
    hint = "Ask for this kernel to be built and published, or boot one of those that are."
    if core is not None:
        hint += " --allow-unverified would take the CO-RE driver, which was not tried on this kernel."
    raise NotFoundError(
        f"{client.url}: has no driver for {host.distro} {host.release} ({host.build}){listed}", hint=hint
    )


def explain_no_driver(choice: Choice, host: Host) -> NotFoundError | LoadError:
    """The error for a kernel that is in the repository without a driver that may be used here."""
    tried = "; ".join(f"{one.kind}: {one.reason}" for one in choice.attempts)
    message = f"{host.release} ({host.build}): no driver may be used: {tried}"
    if all("has none" in one.reason for one in choice.attempts):
        return NotFoundError(message, hint="Ask for this kind to be built and published, or leave --kind out.")
    if choice.refused_by_host:
        return LoadError(
            message, hint="Publish signed modules, or allow eBPF on this host; see `kdriver load --explain`."
        )
    return LoadError(
        message, hint="Publish a driver that passed, or accept one that is not verified: --allow-unverified."
    )


def fetch_driver(client: RepositoryClient, choice: Choice, folder: Path) -> tuple[Path, Path | None]:
    """Download the chosen driver, and the capture tool that understands it, into a folder. Returns both paths, None
    where no tool was published. Raises DownloadError, IntegrityError and NotFoundError."""
    assert choice.driver is not None
    for leftover in folder.glob(".part-*"):
        leftover.unlink()
    driver = client.download(choice.driver.target, folder / choice.driver.kind.file_name)
    if not choice.driver.capture:
        return driver, None
    tool = client.download(layout.tool_target(choice.driver.capture), folder / layout.CAPTURE_TOOL)
    tool.chmod(0o755)
    return driver, tool


def _parsed(parse: Any, document: Any, name: str) -> Any:
    try:
        return parse(document)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{name}: what the repository says of it cannot be read: {error}", hint="Use a newer kdriver on this host."
        ) from error
