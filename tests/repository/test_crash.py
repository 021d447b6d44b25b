"""A publisher that is killed: at every single step of its writing the repository is valid for a client."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import KdriverError
from kdriver.core.verdict import Outcome
from kdriver.repository import layout, metadata
from kdriver.repository.check import check_repository
from kdriver.repository.client import RepositoryClient, Trust
from kdriver.repository.entries import KernelEntry
from kdriver.repository.gather import Candidate
from kdriver.repository.keys import make_keys
from kdriver.repository.publish import Action, publish
from kdriver.repository.store import FolderStore
from tests.fakes.published import POLICY, Published, candidate, kernel

KILLED = 99


def kill_at(step: int, published: Published, candidates: tuple[Candidate, ...]) -> bool:
    """Publish in a process of its own that ends, as by SIGKILL, at the n-th step. False when it got through."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(_name: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                os._exit(KILLED)

        code = 1
        try:
            publish(FolderStore(published.store.root, count), published.keys, candidates, capture=published.capture)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED)
    return code == KILLED


def read_as_client(published: Published, folder: Path) -> KernelEntry:
    """What a host gets: the entry of the kernel, with every driver downloaded and checked."""
    folder.mkdir()
    client = RepositoryClient(published.url, Trust(folder, published.root, "file"))
    client.refresh()
    entry = KernelEntry.from_json(client.read_json(layout.kernel_target(kernel().key)))
    for driver in entry.drivers:
        client.download(driver.target, folder / driver.artifact)
        client.download(layout.tool_target(driver.capture), folder / "tool")
    return entry


def test_a_publisher_killed_at_any_step_leaves_a_valid_repository(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path, salt="old"))
    old = read_as_client(published, tmp_path / "before")
    pristine = tmp_path / "pristine"
    shutil.copytree(published.store.root, pristine)
    published.capture.write_text("#!/bin/sh\nexit 1\n")
    news = (candidate(tmp_path, salt="new"), candidate(tmp_path, kind=DriverKind.BPF))
    states = []
    step = 0
    while True:
        step += 1
        shutil.rmtree(published.store.root)
        shutil.copytree(pristine, published.store.root)
        if not kill_at(step, published, news):
            break
        states.append(read_as_client(published, tmp_path / f"client-{step}"))
        metadata_only = metadata.SignedMetadata(published.store)
        assert all(
            published.store.exists(layout.stored_path(one.path, one.hashes["sha256"]))
            for one in metadata_only.targets()
        )
        steps = publish(FolderStore(published.store.root), published.keys, news, capture=published.capture)
        assert {one.action for one in steps} <= {Action.PUBLISHED, Action.UNCHANGED}
        assert check_repository(published.store).faults == ()
    new = read_as_client(published, tmp_path / "after")
    assert len(states) > 40
    assert states[0] == old
    # A client sees the old state whole or the new one whole, and never the old one again after the new one.
    artifacts = [tuple(one.artifact for one in state.drivers) for state in states]
    wholes = [tuple(one.artifact for one in state.drivers) for state in (old, new)]
    assert set(artifacts) == set(wholes)
    assert artifacts == sorted(artifacts, key=wholes.index)


def test_what_a_killed_publisher_left_half_written_is_cleared_by_the_next(tmp_path: Path) -> None:
    published = Published(tmp_path)
    assert kill_at(2, published, (candidate(tmp_path),))
    assert list((published.store.root / ".tmp").iterdir())
    published.publish(candidate(tmp_path))
    assert not list((published.store.root / ".tmp").iterdir())


def test_a_killed_init_leaves_a_folder_that_init_can_finish(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", POLICY)

    def stop(name: str) -> None:
        if name.startswith("rename metadata/timestamp"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        metadata.create(FolderStore(tmp_path / "repository", stop), keys)
    store = FolderStore(tmp_path / "repository")
    metadata.create(store, keys)
    assert check_repository(store).faults == ()


def test_no_space_is_one_line_and_the_repository_is_as_it_was(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    before = metadata.SignedMetadata(published.store).version

    def full(name: str) -> None:
        if name.startswith("fsync targets/artifacts"):
            raise OSError(28, "No space left on device")

    with pytest.raises(
        KdriverError, match=r"no space left for targets/artifacts/.*; the repository is as it was"
    ) as caught:
        publish(FolderStore(published.store.root, full), published.keys, (candidate(tmp_path, salt="new"),))
    assert caught.value.hint == "Make room on that file system and publish again."
    assert metadata.SignedMetadata(published.store).version == before
    (driver,) = read_as_client(published, tmp_path / "client").drivers
    assert driver.outcome is Outcome.PASSED
