"""`kdriver index update` against a signed repository on loopback: what it believes and what it refuses."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.kernel import PackageRole, PackageState
from kernel_index.store import load_index, load_kernels, locked, opened
from tests.fakes.apt_repository import NOW, Entry, kernel
from tests.fakes.file_server import Fault
from tests.kernel_index.conftest import Distribution

DAY = datetime.timedelta(days=1)


def updated(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Update, which must succeed, and return the row's JSON."""
    assert run(["index", "update", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert isinstance(row, dict)
    return row


def refused(capsys: pytest.CaptureFixture[str], status: int) -> str:
    """Update, which must end with that status and a hint, and return what it said on stderr."""
    assert run(["index", "update", "--json"]) == status
    said = capsys.readouterr().err
    assert "hint: " in said
    return said


def only_main(distribution: Distribution) -> None:
    """Make the row one suite: what fails then fails for all."""
    table = Path(os.environ["KDRIVER_DISTROS"])
    text = table.read_text().split("[debian99.archives.security]")[0]
    table.write_text(text.replace('"clover", "clover-backports"', '"clover"'))
    del distribution


def test_an_update_finds_every_kernel_with_its_closure(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    row = updated(capsys)
    assert row["partial"] is False
    assert [suite["outcome"] for suite in row["suites"]] == ["fetched"] * 3
    kernels = {one.release: one for one in load_kernels()}
    assert set(kernels) == {
        f"{abi}-{flavour}" for abi in ("6.1.0-50", "6.1.0-56", "6.12.95+deb99") for flavour in ("amd64", "cloud-amd64")
    }
    newest = kernels["6.1.0-56-cloud-amd64"]
    assert newest.key == "debian/x86_64/6.1.0-56-cloud-amd64/6.1.192-2"
    assert [(package.role, package.name, package.archive) for package in newest.packages] == [
        (PackageRole.HEADERS, "linux-headers-6.1.0-56-cloud-amd64", "security"),
        (PackageRole.HEADERS_COMMON, "linux-headers-6.1.0-56-common", "security"),
        (PackageRole.KBUILD, "linux-kbuild-6.1", "security"),
        (PackageRole.IMAGE, "linux-image-6.1.0-56-cloud-amd64", "security"),
    ]
    assert (newest.compiler, newest.libc, newest.flavour) == ("gcc-12", "2.34", "cloud-amd64")
    assert newest.first_seen == newest.last_seen == NOW.date().isoformat()


@pytest.mark.parametrize(
    ("validators", "ranges"),
    [
        pytest.param(True, True, id="conditional"),
        pytest.param(False, True, id="ranges-only"),
        pytest.param(False, False, id="neither"),
    ],
)
def test_a_second_update_reads_a_few_kilobytes(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], validators: bool, ranges: bool
) -> None:
    distribution.server.validators, distribution.server.ranges = validators, ranges
    first = updated(capsys)
    asked = len(distribution.server.requests)
    second = updated(capsys)
    assert [suite["outcome"] for suite in second["suites"]] == ["unchanged"] * 3
    assert second["bytes"] <= 3 * 2048 < first["bytes"]
    assert all(path.endswith("/InRelease") for path in distribution.server.paths()[asked:])
    assert second["kernels"] == first["kernels"] and second["new"] == []


def test_lists_that_did_not_change_are_not_fetched_again(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    updated(capsys)
    distribution.security.publish("clover-security", kernel(), date=NOW + datetime.timedelta(seconds=5))
    asked = len(distribution.server.requests)
    row = updated(capsys)
    assert row["suites"][2]["outcome"] == "fetched"
    assert not [path for path in distribution.server.paths()[asked:] if "by-hash" in path]


def test_a_new_kernel_is_found_and_named(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    updated(capsys)
    newer = [*kernel(), *kernel("6.1.0-57", "6.1.193-1")]
    distribution.security.publish("clover-security", newer, date=NOW + datetime.timedelta(seconds=5))
    assert updated(capsys)["new"] == [
        "debian/x86_64/6.1.0-57-amd64/6.1.193-1",
        "debian/x86_64/6.1.0-57-cloud-amd64/6.1.193-1",
    ]
    named = {one.release: one.named_by for one in load_kernels() if one.flavour == "amd64"}
    assert named["6.1.0-57-amd64"] == ("linux-image-amd64",)
    assert named["6.1.0-56-amd64"] == ()
    assert named["6.12.95+deb99-amd64"] == ("clover-backports/linux-image-amd64",)


def test_a_kernel_that_left_its_suite_stays_with_the_packages_that_were_known(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    updated(capsys)
    before = {one.key: one for one in load_kernels()}
    later = NOW + datetime.timedelta(seconds=5)
    distribution.main.publish("clover", [], date=later)
    only_images = kernel(headers=False)
    distribution.security.publish("clover-security", only_images, date=later)
    updated(capsys)
    after = {one.key: one for one in load_kernels()}
    assert set(after) == set(before)
    newest = "debian/x86_64/6.1.0-56-amd64/6.1.192-2"
    assert [dataclasses.replace(one, state=PackageState.INDEXED) for one in after[newest].packages] == list(
        before[newest].packages
    )
    assert {str(one.role): str(one.state) for one in after[newest].packages} == {
        "headers": "unlisted",
        "headers-common": "unlisted",
        "kbuild": "unlisted",
        "image": "indexed",
    }
    assert after[newest].gone == ""
    left = after["debian/x86_64/6.1.0-50-amd64/6.1.176-1"]
    assert left.gone == NOW.date().isoformat() and {str(one.state) for one in left.packages} == {"unlisted"}
    assert after[newest].compiler == "gcc-12"


def test_a_signature_by_a_stranger_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    only_main(distribution)
    distribution.main.publish("clover", kernel(), key=distribution.stranger)
    said = refused(capsys, 6)
    assert "debian99 clover: not signed by a key of this distribution" in said
    with opened(distribution.index) as store:
        assert store.kernels() == ()


def test_a_key_of_the_keyring_that_the_row_does_not_pin_is_refused(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    only_main(distribution)
    table = Path(os.environ["KDRIVER_DISTROS"])
    table.write_text(table.read_text().replace(distribution.key.fingerprint, "A" * 40))
    assert f"signed by {distribution.key.fingerprint}" in refused(capsys, 6)


def test_a_pin_that_was_withdrawn_makes_a_known_state_be_judged_again(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    only_main(distribution)
    updated(capsys)
    table = Path(os.environ["KDRIVER_DISTROS"])
    table.write_text(table.read_text().replace(distribution.key.fingerprint, "A" * 40))
    assert "not signed by a key of this distribution" in refused(capsys, 6)


def test_a_changed_text_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    only_main(distribution)
    file = distribution.main.inrelease("clover")
    file.write_bytes(file.read_bytes().replace(b"Origin: Test", b"Origin: Evil"))
    assert "debian99 clover: the signature does not match the text" in refused(capsys, 6)


def test_an_unsigned_release_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    only_main(distribution)
    distribution.main.inrelease("clover").write_text("Suite: clover\nDate: now\n")
    assert "debian99 clover: it is not signed" in refused(capsys, 6)


def test_text_outside_the_signature_is_not_believed(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    file = distribution.main.inrelease("clover")
    extra = f"Codename: evil\nValid-Until: {NOW - DAY:%a, %d %b %Y %H:%M:%S UTC}\n\n".encode()
    file.write_bytes(extra + file.read_bytes() + extra)
    assert updated(capsys)["suites"][0]["outcome"] == "fetched"


def test_a_release_whose_time_has_passed_is_refused(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    only_main(distribution)
    distribution.main.publish("clover", kernel(), date=NOW - 9 * DAY, valid_until=NOW - 2 * DAY)
    said = refused(capsys, 6)
    assert f"was valid until {NOW - 2 * DAY:%Y-%m-%d %H:%M} UTC; the mirror is out of date" in said


def test_a_frozen_mirror_is_taken_when_asked_for_and_named(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    distribution.main.publish("clover", kernel(), date=NOW - 9 * DAY, valid_until=NOW - 2 * DAY)
    for outcome in ("fetched", "unchanged"):
        assert run(["index", "update", "--accept-stale", "clover", "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["suites"][0]["outcome"] == outcome
        assert row["suites"][0]["stale"] == (NOW - 2 * DAY).isoformat()
        assert [suite["stale"] for suite in row["suites"][1:]] == ["", ""]
    distribution.main.publish("clover", kernel(), date=NOW, valid_until=NOW - DAY, key=distribution.stranger)
    capsys.readouterr()
    assert run(["index", "update", "--accept-stale", "clover"]) == 1
    assert "not signed by a key" in capsys.readouterr().out


def test_a_state_that_was_good_is_refused_once_its_time_has_passed(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    only_main(distribution)
    distribution.main.publish("clover", kernel(), valid_until=NOW + DAY)
    updated(capsys)
    with opened(distribution.index) as store:
        (record,) = store.records("debian99").values()
        assert record.valid_until == (NOW + DAY).isoformat()
        store.put_record("debian99", dataclasses.replace(record, valid_until=(NOW - DAY).isoformat()))
        store.commit()
    assert "the mirror is out of date" in refused(capsys, 6)
    assert len(load_kernels()) == 2


def test_a_release_of_the_future_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    only_main(distribution)
    distribution.main.publish("clover", kernel(), date=NOW + 3 * DAY)
    said = refused(capsys, 6)
    assert "which is in the future" in said and "clock" in said


def test_another_suites_release_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    only_main(distribution)
    distribution.main.publish("heather", kernel())
    distribution.main.inrelease("clover").write_bytes(distribution.main.inrelease("heather").read_bytes())
    assert "debian99 clover: the mirror sent the Release of heather" in refused(capsys, 6)


def test_a_changed_package_list_is_refused(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    only_main(distribution)
    for file in (distribution.main.folder / "dists/clover/main").rglob("*"):
        if file.is_file():
            content = bytearray(file.read_bytes())
            content[40] ^= 1
            file.write_bytes(content)
    assert "was promised" in refused(capsys, 6)


def test_a_list_missing_by_hash_is_taken_by_name(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (distribution.main.folder / "dists/clover/main").rglob("by-hash/SHA256/*"):
        file.unlink()
    assert updated(capsys)["suites"][0]["outcome"] == "fetched"


def test_a_mirror_that_is_behind_takes_nothing_back(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    updated(capsys)
    distribution.security.publish("clover-security", kernel("6.1.0-55", "6.1.192-1"), date=NOW - DAY)
    row = updated(capsys)
    assert row["suites"][2]["outcome"] == "behind" and row["suites"][2]["date"] == NOW.isoformat()
    assert row["new"] == []
    assert any(one.named_by for one in load_kernels() if one.release == "6.1.0-56-amd64")


def test_a_suite_that_fails_keeps_its_state_and_is_named(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    before = updated(capsys)
    distribution.security.inrelease("clover-security").unlink()
    assert run(["index", "update", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["partial"] is True and row["kernels"] == before["kernels"]
    failed = row["suites"][2]
    assert (failed["suite"], failed["outcome"]) == ("clover-security", "failed")
    assert "the server answered 404" in failed["reason"]
    assert run(["index", "list"]) == 0
    captured = capsys.readouterr()
    assert "6.1.0-56-amd64" in captured.out
    assert f"debian99: clover-security failed in the last update, its state of {NOW.date()} is shown" in captured.err
    distribution.security.publish("clover-security", kernel())
    assert updated(capsys)["partial"] is False


def test_a_transient_answer_is_asked_again(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    path = "/debian/dists/clover/InRelease"
    distribution.server.fail(path, Fault(status=503, headers={"Retry-After": "0"}), Fault(cut_after=100))
    assert updated(capsys)["suites"][0]["outcome"] == "fetched"
    assert distribution.server.paths().count(path) == 3


def test_without_a_network_one_line_says_so(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KDRIVER_MIRROR", f"http://127.0.0.1:{free.getsockname()[1]}")
    said = refused(capsys, 1)
    assert "InRelease: connection refused" in said and "--mirror" in said


def test_an_address_with_a_password_is_shown_without_it(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only_main(distribution)
    monkeypatch.setenv("KDRIVER_MIRROR", distribution.server.url.replace("//", "//joe:secret@"))
    assert run(["index", "update", "--dry-run"]) == 0
    distribution.main.inrelease("clover").unlink()
    said = refused(capsys, 1)
    assert "secret" not in said and "joe" not in said


def test_the_mirrors_address_is_not_kept(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    updated(capsys)
    files = [file for file in distribution.index.rglob("*") if file.is_file()]
    assert [file.name for file in files if file.stat().st_size] == ["index.sqlite"]
    assert not [file for file in files if "127.0.0.1" in file.read_bytes().decode("latin-1")]


def test_a_dry_run_asks_nothing(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "update", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"debian99 clover: would ask {distribution.server.url}/debian/dists/clover/InRelease" in out
    assert distribution.server.requests == [] and not distribution.index.exists()


def test_without_gpgv_nothing_is_believed(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = refused(capsys, 2)
    assert "gpgv is not installed" in said and "apt-get install gpgv" in said


def test_without_the_keyring_nothing_is_believed(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Path(os.environ["KDRIVER_DISTROS"])
    table.write_text(table.read_text().replace(str(distribution.key.keyring), "/nowhere/keys.gpg"))
    said = refused(capsys, 2)
    assert "/nowhere/keys.gpg is missing" in said and "apt-get install test-keyring" in said


def test_an_unknown_distribution_names_near_ones(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["index", "update", "--distro", "debian98"]) == 3
    said = capsys.readouterr().err
    assert "distribution 'debian98' is not known" in said and "debian99" in said


def test_two_updates_at_once_are_kept_apart(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    with locked():
        assert "another update of the index" in refused(capsys, 2)


@pytest.mark.root
def test_without_space_one_line_says_so(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    distribution.index.mkdir()
    many = [Entry(f"linux-image-6.1.0-{number}-amd64", "6.1.1-1", "kmod") for number in range(300)]
    distribution.main.publish("clover", many)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(distribution.index)], check=True)
    try:
        said = refused(capsys, 1)
        assert f"no space left in {distribution.index}" in said and "KDRIVER_INDEX" in said
        assert not list(distribution.index.rglob("*.part"))
    finally:
        subprocess.run(["umount", str(distribution.index)], check=True)


def test_an_index_that_cannot_be_written_is_said_so(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (distribution.index.parent / "file").write_text("in the way")
    monkeypatch.setenv("KDRIVER_INDEX", str(distribution.index.parent / "file" / "index"))
    assert "the kernel index cannot be written there (Not a directory)" in refused(capsys, 2)


def test_the_index_document_says_how_the_update_went(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    updated(capsys)
    (index,) = load_index()
    assert index.distro_release == "debian99" and not index.partial
    assert [(suite.suite, suite.archive) for suite in index.suites] == [
        ("clover", "main"),
        ("clover-backports", "main"),
        ("clover-security", "security"),
    ]
