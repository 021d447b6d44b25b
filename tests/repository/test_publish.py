"""What is published, with which mark, and that nothing published is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kdriver.core.artifact import CORE_KERNEL, DriverKind
from kdriver.core.errors import ExitCode, IntegrityError, KdriverError
from kdriver.core.verdict import Outcome
from kdriver.repository import layout
from kdriver.repository.check import check_repository
from kdriver.repository.draft import read_entry
from kdriver.repository.entries import DriverEntry, KernelEntry, names_from_json
from kdriver.repository.metadata import SignedMetadata
from kdriver.repository.publish import Action
from kdriver.repository.store import FolderStore
from tests.fakes.published import VERSION, Published, candidate, content, kernel


def entry_of(published: Published, key: str) -> KernelEntry:
    entry = read_entry(SignedMetadata(published.store), key)
    assert entry is not None
    return entry


def driver_of(published: Published, kind: DriverKind = DriverKind.KMOD) -> DriverEntry:
    return next(one for one in entry_of(published, kernel().key).drivers if one.kind is kind)


def test_a_driver_that_passed_is_published_with_its_verdict_record(tmp_path: Path) -> None:
    published = Published(tmp_path)
    one = candidate(tmp_path)
    (step,) = published.publish(one)
    assert step.action is Action.PUBLISHED
    driver = driver_of(published)
    assert (driver.artifact, driver.outcome) == (one.artifact.sha256, Outcome.PASSED)
    verdict = SignedMetadata(published.store).read_target(layout.verdict_target(driver.verdict))
    assert one.verdict and json.loads(verdict or b"") == one.verdict.to_json()
    record = SignedMetadata(published.store).read_target(layout.record_target(driver.record))
    assert json.loads(record or b"") == one.artifact.to_json()


@pytest.mark.parametrize("include_unverified", [False, True])
def test_a_driver_that_failed_is_never_published(tmp_path: Path, include_unverified: bool) -> None:
    published = Published(tmp_path)
    (step,) = published.publish(candidate(tmp_path, outcome=Outcome.FAILED), include_unverified=include_unverified)
    assert (step.action, step.mark) == (Action.REFUSED, Outcome.FAILED)
    assert step.reason == "failed verification: openat: fd: expected 3, got 4"
    assert read_entry(SignedMetadata(published.store), kernel().key) is None


def test_a_driver_without_a_verdict_is_refused(tmp_path: Path) -> None:
    published = Published(tmp_path)
    (step,) = published.publish(candidate(tmp_path, outcome=None))
    assert (step.action, step.reason) == (Action.REFUSED, "has no verdict")


def test_an_unverified_driver_is_published_only_on_request_and_marked(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path, outcome=None), include_unverified=True)
    driver = driver_of(published)
    assert (driver.outcome, driver.verdict, driver.aliases) == (Outcome.NOT_VERIFIED, "", ())


def test_a_driver_from_unauthenticated_packages_is_published_only_on_request(tmp_path: Path) -> None:
    published = Published(tmp_path)
    one = candidate(tmp_path, replace(kernel(), authenticated=False))
    (step,) = published.publish(one)
    assert step.action is Action.REFUSED
    assert step.reason == "its kernel's packages are unauthenticated: no signed metadata vouches for them"
    assert read_entry(SignedMetadata(published.store), kernel().key) is None
    assert published.publish(one, include_unauthenticated=True)[0].action is Action.PUBLISHED


def test_an_unverified_driver_never_takes_the_place_of_one_that_passed(tmp_path: Path) -> None:
    published = Published(tmp_path)
    passed = candidate(tmp_path)
    published.publish(passed)
    (step,) = published.publish(candidate(tmp_path, outcome=None, salt="new"), include_unverified=True)
    assert step.action is Action.REFUSED
    assert driver_of(published).artifact == passed.artifact.sha256


def test_a_published_driver_that_fails_later_is_withdrawn(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    alias = published.store.path(driver_of(published).aliases[0])
    assert alias.is_file()
    (step,) = published.publish(candidate(tmp_path, outcome=Outcome.FAILED))
    assert step.action is Action.WITHDRAWN
    assert driver_of(published).outcome is Outcome.FAILED
    assert not alias.exists()


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in published.store.root.rglob("*.json")}
    (step,) = published.publish(candidate(tmp_path))
    assert step.action is Action.UNCHANGED
    assert {path: path.stat().st_mtime_ns for path in published.store.root.rglob("*.json")} == before


def test_publishing_keeps_every_earlier_kernel_and_kind(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path), candidate(tmp_path, kind=DriverKind.BPF))
    other = kernel("6.12.117+deb12-amd64", "6.12.117-1~deb12u1")
    published.publish(candidate(tmp_path, other))
    published.publish(candidate(tmp_path, kind=DriverKind.CORE))
    kinds = {one.kind for one in entry_of(published, kernel().key).drivers}
    assert kinds == set(DriverKind)
    names = SignedMetadata(published.store).read_target(layout.names_target("x86_64"))
    assert names_from_json(json.loads(names or b"")) == (kernel().key, other.key)


def test_a_newer_driver_version_stands_first_and_the_older_one_stays(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path, version="0.9.0", salt="a"))
    published.publish(candidate(tmp_path, version="0.10.0", salt="b"))
    published.publish(candidate(tmp_path, version="0.2.0", salt="c"))
    versions = [one.driver.version for one in entry_of(published, kernel().key).drivers]
    assert versions == ["0.10.0", "0.9.0", "0.2.0"]


def test_a_core_object_that_passed_somewhere_is_offered_to_all_but_not_as_verified(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path, kind=DriverKind.CORE))
    (offered,) = entry_of(published, CORE_KERNEL).drivers
    assert offered.outcome is Outcome.NOT_VERIFIED
    assert offered.reason == f"passed on {kernel().key}; not tried on this kernel"


def test_two_debian_kernels_that_share_a_shortened_name_do_not_share_a_file(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path, salt="one"))
    second = kernel("6.1.0-0.deb11.52-amd64", "6.1.192-2~bpo11+1")
    published.publish(candidate(tmp_path, second, salt="two"))
    shared = "0.1.0/x86_64/kdriver_debian_6.1.192-2-amd64_1.ko"
    assert shared in driver_of(published).aliases
    assert shared not in entry_of(published, second.key).drivers[0].aliases
    assert check_repository(published.store).faults == ()


def test_a_file_that_differs_from_its_record_is_not_published(tmp_path: Path) -> None:
    published = Published(tmp_path)
    one = candidate(tmp_path)
    one.path.write_bytes(one.path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match=f"its record says {one.artifact.sha256}") as caught:
        published.publish(one)
    assert caught.value.exit_code is ExitCode.INTEGRITY
    assert read_entry(SignedMetadata(published.store), kernel().key) is None


def test_a_second_publisher_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    published = Published(tmp_path)
    with (
        FolderStore(published.store.root).locked(),
        pytest.raises(KdriverError, match=r"another publisher is at work \(process \d+\)") as caught,
    ):
        published.publish(candidate(tmp_path))
    assert caught.value.hint == "Wait until it has ended."
    assert published.publish(candidate(tmp_path))[0].action is Action.PUBLISHED


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    published = Published(tmp_path)
    before = sorted(published.store.root.rglob("*"))
    (step,) = published.publish(candidate(tmp_path), dry_run=True)
    assert step.action is Action.PUBLISHED
    assert sorted(published.store.root.rglob("*")) == before


def test_a_signed_module_is_marked_as_signed(tmp_path: Path) -> None:
    published = Published(tmp_path)
    signature = b"\x30\x00"
    trailer = bytes(8) + len(signature).to_bytes(4, "big")
    signed = content(DriverKind.KMOD) + signature + trailer + b"~Module signature appended~\n"
    published.publish(candidate(tmp_path, driver=signed))
    assert driver_of(published).signed
    published.publish(candidate(tmp_path, kind=DriverKind.BPF))
    assert not driver_of(published, DriverKind.BPF).signed


def test_an_entry_survives_its_document() -> None:
    driver = DriverEntry(
        DriverKind.BPF, "a", 1, "kdriver", VERSION, "cc", "", False, Outcome.PASSED, "", "v", "r", "c", ("x",), "now"
    )
    entry = KernelEntry("k", "debian", "x86_64", "r", "b", (driver,))
    assert KernelEntry.from_json(json.loads(json.dumps(entry.to_json()))) == entry
    newer = {**entry.to_json(), "format": 2}
    with pytest.raises(ValueError, match="format 2; this kdriver reads format 1"):
        KernelEntry.from_json(newer)


def test_publishing_nothing_new_renews_signatures_that_are_due(tmp_path: Path) -> None:
    published = Published(tmp_path)
    published.publish(candidate(tmp_path))
    version = SignedMetadata(published.store).version
    later = datetime.now(UTC) + timedelta(days=20)
    (step,) = published.publish(candidate(tmp_path), now=later)
    assert step.action is Action.UNCHANGED
    renewed = SignedMetadata(published.store)
    assert renewed.version == version + 1
    assert renewed.timestamp.expires > later + timedelta(days=29)
