"""Repositories as a crawl meets them: whole, unchanged, lagging, unsigned, forged, damaged, failing."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, DownloadError, ExitCode, IntegrityError
from kdriver.core.http import Http, RetryPolicy, StatusError
from kernel_index.distros.centos import FAMILY
from kernel_index.rpm.repository import repomd_url
from tests.fakes.el_kernels import EL7, EL7_UPDATE
from tests.fakes.file_server import Fault
from tests.kernel_index.rpm.conftest import YumTree, as_suite

REPOMD = "/os/repodata/repomd.xml"


def refused(call: Callable[[], object]) -> str:
    """What an IntegrityError says; it must carry a hint and the exit status."""
    with pytest.raises(IntegrityError) as caught:
        call()
    assert caught.value.hint and caught.value.exit_code == ExitCode.INTEGRITY
    return caught.value.message


def forged(yum: YumTree, change: Callable[[bytes], bytes], *, resign: bool = True, mend: bool = True) -> None:
    """Change the text of primary.xml of `os`. mend: repomd.xml names its new digest; resign: and is signed."""
    listed = yum.list_file("os")
    old = listed.read_bytes()
    listed.write_bytes(gzip.compress(change(gzip.decompress(old))))
    if mend:
        repomd = yum.root / "os/repodata/repomd.xml"
        new = hashlib.sha256(listed.read_bytes()).hexdigest()
        text = repomd.read_text().replace(hashlib.sha256(old).hexdigest(), new)
        listed.rename(listed.with_name(listed.name.replace(hashlib.sha256(old).hexdigest(), new)))
        size, open_size = listed_sizes(text)
        text = text.replace(size, "", 1).replace(open_size, "", 1)
        repomd.write_text(text)
    if resign:
        yum.sign("os")


def listed_sizes(text: str) -> tuple[str, str]:
    """The elements of the first list's sizes."""
    at = text.index('type="primary"')
    size = text[text.index("<size>", at) : text.index("</size>", at) + 7]
    return size, text[text.index("<open-size>", at) : text.index("</open-size>", at) + 12]


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zst"])
def test_every_compression_of_the_list_is_read(yum: YumTree, compression: str) -> None:
    yum.publish("os", EL7, "bash", compression=compression)
    assert yum.list_file("os").suffix == f".{compression}"
    fetched = yum.fetch(FAMILY, "os")
    assert fetched.outcome == "fetched" and fetched.record.authenticated
    packages = as_suite(fetched).packages
    names = ["kernel", "kernel-debug", "kernel-debug-devel", "kernel-devel"]
    assert sorted(package.name for package in packages) == names
    one = next(package for package in packages if package.name == "kernel-devel")
    file = yum.root / one.path
    assert one.path == f"os/Packages/kernel-devel-3.10.0-{EL7}.x86_64.rpm"
    assert (one.version, one.arch, one.source) == (f"3.10.0-{EL7}", "x86_64", "kernel")
    assert (one.size_bytes, one.sha256) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
    assert one.provides == f"kernel-devel-uname-r (= 3.10.0-{EL7}.x86_64)"
    assert one.depends == "elfutils-libelf-devel, perl"


def test_the_kernels_of_two_repositories(yum: YumTree) -> None:
    yum.publish("os", EL7)
    yum.publish("updates", EL7_UPDATE)
    suites = [as_suite(yum.fetch(FAMILY, repository)) for repository in ("os", "updates")]
    kernels = FAMILY.kernels(yum.row, suites)
    assert [(one.release, len(one.packages)) for one in kernels] == [
        (f"3.10.0-{EL7}.x86_64", 2),
        (f"3.10.0-{EL7}.x86_64.debug", 2),
        (f"3.10.0-{EL7_UPDATE}.x86_64", 2),
        (f"3.10.0-{EL7_UPDATE}.centos.plus.x86_64", 2),
    ]
    assert all(one.authenticated for one in kernels)


def test_nothing_changed_costs_no_body(yum: YumTree) -> None:
    yum.publish("os", EL7)
    first = yum.fetch(FAMILY, "os")
    again = yum.fetch(FAMILY, "os", first)
    assert (again.outcome, again.bytes_read, again.lists) == ("unchanged", 0, {})
    assert again.record == first.record


def test_without_validators_only_repomd_is_read_again(yum: YumTree) -> None:
    yum.server.validators = False
    yum.publish("os", EL7)
    first = yum.fetch(FAMILY, "os")
    again = yum.fetch(FAMILY, "os", first)
    assert again.outcome == "unchanged" and yum.server.paths()[-1] == REPOMD
    assert again.bytes_read == (yum.root / "os/repodata/repomd.xml").stat().st_size


def test_a_list_that_is_known_is_not_read_again(yum: YumTree) -> None:
    yum.publish("os", EL7)
    first = yum.fetch(FAMILY, "os")
    repomd = yum.root / "os/repodata/repomd.xml"
    repomd.write_text(repomd.read_text() + "\n")
    yum.sign("os")
    again = yum.fetch(FAMILY, "os", first)
    assert (again.outcome, again.lists) == ("fetched", {})
    assert not [path for path in yum.server.paths()[3:] if "primary" in path]


def test_a_replayed_older_state_does_not_take_the_newer_ones_place(yum: YumTree) -> None:
    yum.publish("os", EL7)
    first = yum.fetch(FAMILY, "os")
    newer = replace(first, record=replace(first.record, date="2999-01-01T00:00:00+00:00", head="", validators=()))
    again = yum.fetch(FAMILY, "os", newer)
    assert again.outcome == "behind" and again.record == newer.record


def test_a_signature_of_a_stranger_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7, key=yum.stranger)
    said = refused(lambda: yum.fetch(FAMILY, "os"))
    assert said.startswith("centos7 os: not signed by a key of this distribution")


def test_a_changed_repomd_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7)
    repomd = yum.root / "os/repodata/repomd.xml"
    repomd.write_bytes(repomd.read_bytes() + b" ")
    assert refused(lambda: yum.fetch(FAMILY, "os")) == "centos7 os: the signature does not match the content"


def test_a_list_with_another_digest_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7)
    forged(yum, lambda text: text.replace(b"957", b"956"), mend=False)
    said = refused(lambda: yum.fetch(FAMILY, "os"))
    assert "was promised" in said or "were promised" in said


def test_without_a_signature_the_headers_of_the_packages_vouch(yum: YumTree) -> None:
    yum.publish("os", EL7, signed=False)
    fetched = yum.fetch(FAMILY, "os")
    assert fetched.record.authenticated
    asked = [path for path in yum.server.paths() if path.endswith(".rpm")]
    assert len(asked) == 4
    sent = sum(request.sent for request in yum.server.requests if request.path.endswith(".rpm"))
    assert fetched.bytes_read > 0 and sent > 0
    before = len(asked)
    yum.fetch(FAMILY, "os")
    assert len([path for path in yum.server.paths() if path.endswith(".rpm")]) == before


def test_an_unsigned_repository_with_a_package_of_a_stranger_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7, signed=False)
    package = yum.root / f"os/Packages/kernel-devel-3.10.0-{EL7}.x86_64.rpm"
    content = package.read_bytes()
    package.unlink()
    package.write_bytes(content)
    yum.stranger.sign_rpms([package])
    yum.index("os", signed=False)
    said = refused(lambda: yum.fetch(FAMILY, "os"))
    assert said.startswith(f"centos7 os: {package.name}: not signed by a key of this distribution")


def test_a_good_header_under_another_packages_name_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7, signed=False)
    folder = yum.root / "os/Packages"
    old, new = (folder / f"kernel-devel-3.10.0-{one}.x86_64.rpm" for one in (EL7, EL7_UPDATE))
    yum.packages[new.name].read_bytes()
    old.unlink()
    old.write_bytes(yum.packages[new.name].read_bytes())
    said = refused(lambda: yum.fetch(FAMILY, "os"))
    listed = f"listed as kernel-devel 3.10.0-{EL7} x86_64"
    assert said == f"centos7 os: {old.name}: it is kernel-devel 3.10.0-{EL7_UPDATE} x86_64, {listed}"


def test_a_repository_that_was_signed_and_is_not_any_more_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7)
    first = yum.fetch(FAMILY, "os")
    yum.publish("os", EL7, EL7_UPDATE, signed=False)
    assert refused(lambda: yum.fetch(FAMILY, "os", first)) == "centos7 os: it was signed, and is not any more"


def test_a_row_without_a_key_gives_unauthenticated_kernels(yum: YumTree) -> None:
    yum.publish("os", EL7, key=yum.stranger)
    text = yum.table.read_text()
    text = text[: text.index("signed_by")] + 'unsigned = "made by a test"\n'
    yum.table.write_text(text)
    fetched = yum.fetch(FAMILY, "os")
    assert not fetched.record.authenticated
    assert not any(one.authenticated for one in FAMILY.kernels(yum.row, [as_suite(fetched)]))


def test_a_missing_repository_is_said_with_its_status(yum: YumTree) -> None:
    with pytest.raises(StatusError) as caught:
        yum.fetch(FAMILY, "os")
    assert caught.value.status == 404 and caught.value.hint and REPOMD in caught.value.message


def test_a_server_that_fails_for_a_moment_is_asked_again(yum: YumTree) -> None:
    yum.publish("os", EL7)
    yum.server.fail(REPOMD, Fault(status=503), Fault(cut_after=100))
    assert yum.fetch(FAMILY, "os").outcome == "fetched"
    assert yum.server.paths()[:3] == [REPOMD] * 3


def test_a_server_that_keeps_failing_is_an_error_and_no_absence(yum: YumTree) -> None:
    yum.publish("os", EL7)
    yum.server.fail(f"{REPOMD}.asc", *[Fault(status=500)] * 3)
    with pytest.raises(DownloadError) as caught:
        yum.fetch(FAMILY, "os")
    assert "500" in caught.value.message and caught.value.hint


def test_a_server_that_stalls_is_given_up_and_asked_again(yum: YumTree) -> None:
    yum.publish("os", EL7)
    impatient = Http(RetryPolicy(attempts=2, first_delay_s=0, read_timeout_s=0.3), sleep=lambda _: None)
    question = replace(yum.question("os"), http=impatient)
    yum.server.fail(REPOMD, Fault(stall_s=0.6))
    assert FAMILY.fetch(question).outcome == "fetched"
    yum.server.fail(REPOMD, *[Fault(stall_s=0.6)] * 2)
    with pytest.raises(DownloadError) as caught:
        FAMILY.fetch(question)
    assert "no answer in time" in caught.value.message and caught.value.hint


def test_a_list_that_is_cut_is_resumed(yum: YumTree) -> None:
    yum.publish("os", EL7)
    path = f"/{yum.list_file('os').relative_to(yum.root)}"
    yum.server.fail(path, Fault(cut_after=300))
    assert yum.fetch(FAMILY, "os").outcome == "fetched"
    assert yum.server.requests[-1].headers["Range"] == "bytes=300-"


def test_the_next_mirror_makes_up_for_one_that_lies(
    yum: YumTree, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    yum.publish("os", EL7)
    yum.publish("bad/os", EL7, key=yum.stranger)
    url = yum.server.url
    yum.table.write_text(yum.table.read_text().replace(f'mirrors = ["{url}"]', f'mirrors = ["{url}/bad", "{url}"]'))
    assert yum.fetch(FAMILY, "os").outcome == "fetched"
    assert "another mirror was used" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda text: text.replace(b'href="Packages/kernel-devel', b'href="../../kernel-devel'),
            "the entry of kernel-devel is malformed (the path",
            id="path",
        ),
        pytest.param(
            lambda text: text.replace(b'<location href="Packages', b'<location xml:base="http://x/" href="Packages'),
            "it lies elsewhere, at http://x/",
            id="base",
        ),
        pytest.param(lambda text: text.replace(b'type="sha256"', b'type="sha"'), "a checksum of type sha,", id="sha1"),
        pytest.param(lambda text: text.replace(b"<size package=", b"<size pack="), "a size of '' bytes", id="size"),
        pytest.param(lambda text: text.replace(b"ver=", b"var="), "no version", id="version"),
        pytest.param(lambda text: text[:-20], "it is no XML", id="cut"),
        pytest.param(
            lambda text: text.replace(b"?>", b'?><!DOCTYPE metadata [<!ENTITY a "b">]>', 1),
            "it declares a document type",
            id="doctype",
        ),
    ],
)
def test_a_hostile_list_is_refused_even_when_it_is_signed(
    yum: YumTree, change: Callable[[bytes], bytes], said: str
) -> None:
    yum.publish("os", EL7)
    forged(yum, change)
    message = refused(lambda: yum.fetch(FAMILY, "os"))
    assert message.startswith("centos7 os: ") and said in message


def test_a_list_that_unpacks_to_more_than_promised_is_refused(yum: YumTree) -> None:
    yum.publish("os", EL7)
    repomd = yum.root / "os/repodata/repomd.xml"
    text = repomd.read_text()
    repomd.write_text(text.replace(listed_sizes(text)[1], "<open-size>500</open-size>"))
    yum.sign("os")
    assert "longer than such a list can be" in refused(lambda: yum.fetch(FAMILY, "os"))


def test_a_bomb_is_refused(yum: YumTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_index.rpm.xml.ELEMENT_LIMIT_BYTES", 1 << 20)
    yum.publish("os", EL7)
    forged(yum, lambda text: text.replace(b"<metadata", b"<metadata " + b" " * (8 << 20), 1))
    refused(lambda: yum.fetch(FAMILY, "os"))


def test_a_missing_keyring_names_what_to_install(yum: YumTree) -> None:
    yum.publish("os", EL7)
    yum.table.write_text(yum.table.read_text().replace(str(yum.key.keyring), "/nowhere/keys"))
    with pytest.raises(ConfigError) as caught:
        yum.fetch(FAMILY, "os")
    assert caught.value.hint == "Install the keys: apt-get install made-keys."


def test_the_first_address_asked() -> None:
    url = "https://vault.centos.org/7.9.2009/os/x86_64/repodata/repomd.xml"
    assert repomd_url("https://vault.centos.org", "7.9.2009/os/x86_64") == url
