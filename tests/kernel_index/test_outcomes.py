"""What an update makes of archives that are optional, archived, opt-in or for subscribers, and of gaps in a mirror."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kernel_index.store import load_kernels
from tests.fakes.apt_repository import NOW, AptRepository, Entry, SigningKey, kernel
from tests.kernel_index.conftest import Distribution

DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def expired() -> Iterator[SigningKey]:
    """A key that was good when it signed, three years ago, and is no more."""
    made = str(int((NOW - 1000 * DAY).timestamp()))
    with SigningKey("expired", expires="1y", now=made) as key:
        yield key


def change_table(*changes: tuple[str, str], more: str = "") -> None:
    """Replace texts in the table, each of which must be there, and add more at its end."""
    file = Path(os.environ["KDRIVER_DISTROS"])
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text + more)


def archive_text(name: str, folder: str, suite: str, key: SigningKey, more: str, mirror: str = "") -> str:
    """A table of one more archive."""
    return f"""
[debian99.archives.{name}]
folder = "{folder}"
mirrors = ["{mirror or "http://mirror.invalid"}/{folder}"]
suites = ["{suite}"]
components = ["main"]
keyring = "{key.keyring}"
signed_by = ["{key.fingerprint}"]
{more}
"""


def update(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> dict[str, dict[str, Any]]:
    """Update, which must end with that status; suite to what its JSON says."""
    assert run(["index", "update", "--json", *words]) == status
    (row,) = json.loads(capsys.readouterr().out)
    assert row["partial"] is (status == 1)
    return {suite["suite"]: suite for suite in row["suites"]}


def test_an_optional_suite_that_no_mirror_has_is_skipped_and_named(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    change_table(more=archive_text("proposed", "debian", "clover-proposed", distribution.key, "optional = true"))
    suites = update(capsys, 0)
    assert suites["clover-proposed"]["outcome"] == "skipped"
    assert "the server answered 404" in suites["clover-proposed"]["reason"]
    distribution.main.publish("clover-proposed", kernel("6.1.0-60", "6.1.200-1"))
    assert update(capsys, 0)["clover-proposed"]["outcome"] == "fetched"


def test_an_optional_suite_that_is_not_to_be_trusted_is_a_failure(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    change_table(more=archive_text("proposed", "debian", "clover-proposed", distribution.key, "optional = true"))
    distribution.main.publish("clover-proposed", kernel(), key=distribution.stranger)
    assert update(capsys, 1)["clover-proposed"]["outcome"] == "failed"


def test_an_opt_in_archive_is_asked_only_when_it_is_included(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "opt_in = true\nnot_automatic = true"
    change_table(more=archive_text("proposed", "debian", "clover-proposed", distribution.key, more))
    distribution.main.publish("clover-proposed", kernel("6.1.0-60", "6.1.200-1"))
    left_out = update(capsys, 0)["clover-proposed"]
    assert (left_out["outcome"], left_out["reason"]) == ("skipped", "not asked for: --include proposed does")
    assert update(capsys, 0, "--include", "proposed")["clover-proposed"]["outcome"] == "fetched"
    named = {one.release: one.named_by for one in load_kernels()}
    assert named["6.1.0-60-amd64"] == ("clover-proposed/linux-image-amd64",)
    assert named["6.1.0-56-amd64"] == ("linux-image-amd64",)
    # What was included once stays known when it is left out.
    assert update(capsys, 0)["clover-proposed"]["outcome"] == "skipped"
    assert {one.release for one in load_kernels()} == set(named)
    monkeypatch.setenv("KDRIVER_INCLUDE", "proposed")
    assert update(capsys, 0)["clover-proposed"]["outcome"] == "unchanged"


def test_an_unknown_archive_or_suite_is_a_usage_error(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["index", "update", "--include", "propsed"]) == 2
    assert "--include propsed: no archive of that name is left out" in capsys.readouterr().err
    assert run(["index", "update", "--accept-stale", "cloveer"]) == 2
    said = capsys.readouterr().err
    assert "--accept-stale cloveer: no suite of that name is asked" in said and "hint: " in said


def test_the_archive_of_an_ended_release_may_be_out_of_reach(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    change_table(more=archive_text("old", "old", "heather", distribution.key, "archived = true"))
    suites = update(capsys, 0)
    assert suites["heather"]["outcome"] == "skipped"
    assert "the host name is not known" in suites["heather"]["reason"]
    # It does not lie on every mirror: an address that serves for all is not asked for it.
    assert not [path for path in distribution.server.paths() if "heather" in path]


def test_an_archive_that_the_user_named_must_be_there(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    change_table(more=archive_text("old", "old", "heather", distribution.key, "archived = true"))
    words = ("--mirror", distribution.server.url, "--mirror", f"old={distribution.server.url}/old")
    assert update(capsys, 1, *words)["heather"]["outcome"] == "failed"


def test_a_release_that_is_named_and_of_which_nothing_answers_is_a_failure(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    old = archive_text("old", "old", "heather", distribution.key, "archived = true")
    row = Path(os.environ["KDRIVER_DISTROS"]).read_text().split("[debian99.archives")[0]
    Path(os.environ["KDRIVER_DISTROS"]).write_text(row + old)
    assert update(capsys, 0)["heather"]["outcome"] == "skipped"
    assert run(["index", "update", "--distro", "debian99"]) != 0
    assert "the host name is not known" in capsys.readouterr().err


def test_expired_keys_and_dates_count_only_for_archived_suites(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], expired: SigningKey, tmp_path: Path
) -> None:
    old = AptRepository(tmp_path / "mirror" / "old", expired)
    then = NOW - 900 * DAY
    old.publish("heather", kernel("4.9.0-19", "4.9.320-2"), date=then, valid_until=then + 7 * DAY)
    mirror = distribution.server.url
    change_table(more=archive_text("old", "old", "heather", expired, "archived = true", mirror))
    suites = update(capsys, 0)
    assert (suites["heather"]["outcome"], suites["heather"]["stale"]) == ("fetched", "")
    assert "4.9.0-19-amd64" in {one.release for one in load_kernels()}
    change_table(("archived = true", "optional = true"))
    words = ("--accept-stale", "heather", "--mirror", mirror, "--mirror", f"old={mirror}/old")
    old.publish("heather", kernel("4.9.0-19", "4.9.320-3"), date=then + DAY)
    assert "signed by a key that has expired" in update(capsys, 1, *words)["heather"]["reason"]


def test_an_archived_suite_is_signed_by_a_pinned_key_all_the_same(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], expired: SigningKey, tmp_path: Path
) -> None:
    old = AptRepository(tmp_path / "mirror" / "old", expired)
    old.publish("heather", kernel("4.9.0-19", "4.9.320-2"))
    more = archive_text("old", "old", "heather", expired, "archived = true", distribution.server.url)
    change_table(more=more.replace(expired.fingerprint, "B" * 40))
    assert "key" in update(capsys, 1)["heather"]["reason"]


def test_a_row_accepts_stale_suites_by_name(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    distribution.main.publish("clover", kernel(), date=NOW - 9 * DAY, valid_until=NOW - 2 * DAY)
    assert update(capsys, 1)["clover"]["outcome"] == "failed"
    change_table(('folder = "debian"\n', 'folder = "debian"\naccept_stale = ["clover"]\n'))
    accepted = update(capsys, 0)["clover"]
    assert accepted["stale"] == (NOW - 2 * DAY).isoformat()


def test_a_replayed_release_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    update(capsys, 0)
    distribution.security.publish("clover-security", kernel("6.1.0-55", "6.1.192-1"), date=NOW - 4 * DAY)
    failed = update(capsys, 1)["clover-security"]
    assert f"the mirror sent a Release of {NOW - 4 * DAY:%Y-%m-%d %H:%M} UTC" in failed["reason"]
    assert failed["date"] == NOW.isoformat()


def test_all_architectures_are_indexed(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    change_table(('{ x86_64 = "amd64" }', '{ x86_64 = "amd64", aarch64 = "arm64" }'))
    arm = [
        Entry("linux-headers-6.1.0-56-arm64", "6.1.192-2", "linux-headers-6.1.0-56-common, linux-kbuild-6.1", "arm64"),
        Entry("linux-kbuild-6.1", "6.1.192-2", "libc6 (>= 2.34)", "arm64"),
        Entry("linux-image-6.1.0-56-arm64", "6.1.192-2", "kmod", "arm64"),
    ]
    distribution.security.publish("clover-security", [*kernel(), *arm], architectures=("amd64", "arm64"))
    update(capsys, 0)
    (found,) = [one for one in load_kernels() if one.arch == "aarch64"]
    assert found.key == "debian/aarch64/6.1.0-56-arm64/6.1.192-2"
    assert [package.arch for package in found.packages] == ["arm64", "all", "arm64", "arm64"]
    assert run(["index", "list", "--arch", "aarch64"]) == 0
    assert "6.1.0-56-arm64" in capsys.readouterr().out


def test_a_mirror_may_carry_fewer_architectures_than_its_release_names(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    change_table(('{ x86_64 = "amd64" }', '{ x86_64 = "amd64", aarch64 = "arm64" }'))
    both = ("amd64", "arm64")
    arm = Entry("linux-image-6.1.0-56-arm64", "6.1.192-2", "kmod", "arm64")
    distribution.security.publish("clover-security", [*kernel(), arm], architectures=both)
    update(capsys, 0)
    newer = [*kernel("6.1.0-57", "6.1.193-1"), Entry("linux-image-6.1.0-57-arm64", "6.1.193-1", "kmod", "arm64")]
    later = NOW + datetime.timedelta(seconds=5)
    distribution.security.publish("clover-security", newer, date=later, architectures=both, missing=("arm64",))
    suites = update(capsys, 0)
    assert suites["clover-security"]["without"] == "arm64"
    kernels = {one.release: one for one in load_kernels()}
    assert "6.1.0-57-amd64" in kernels and "6.1.0-57-arm64" not in kernels
    assert kernels["6.1.0-56-arm64"].gone == "", "what is not carried is not gone"
    later += datetime.timedelta(seconds=5)
    newest = kernel("6.1.0-58", "6.1.194-1")
    distribution.security.publish("clover-security", newest, date=later, architectures=both, missing=("amd64",))
    failed = update(capsys, 1)["clover-security"]
    assert failed["outcome"] == "failed", "the first architecture must be there"


def test_a_repository_may_list_sha512_only(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [Entry("linux-image-6.1.0-56-amd64", "6.1.192-2", "kmod", digest="SHA512")]
    distribution.security.publish("clover-security", entries, digest="SHA512")
    update(capsys, 0)
    (found,) = [one for one in load_kernels() if one.release == "6.1.0-56-amd64"]
    (image,) = found.packages
    assert image.sha256 == "" and len(image.digest) == 128


def test_several_suites_are_asked_at_a_time(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    distribution.server.delay_s = 0.2
    update(capsys, 0)
    assert distribution.server.busiest >= 3
    distribution.server.busiest = 0
    update(capsys, 0, "-j", "1")
    assert distribution.server.busiest == 1


def test_a_missing_keyring_keeps_no_other_suite_from_being_asked(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    row_keyring = f'keyring = "{distribution.key.keyring}"'
    change_table((row_keyring, 'keyring = "/nonexistent.gpg"'), more=row_keyring)
    suites = update(capsys, 1)
    assert [suite["outcome"] for suite in suites.values()] == ["failed", "failed", "fetched"]
    assert suites["clover"]["reason"].startswith("/nonexistent.gpg is missing")
