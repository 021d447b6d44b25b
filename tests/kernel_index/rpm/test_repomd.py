"""repomd.xml as createrepo, createrepo_c and Pulp write it, and what of it is refused."""

from __future__ import annotations

import random

import pytest

from kdriver.core.errors import ExitCode, IntegrityError
from kernel_index.rpm.repomd import Repomd, check_path, parse_repomd
from tests.kernel_index.rpm.test_xml import FUZZ_ROUNDS

DIGEST = "c0ffee" + "0" * 58
DATA = f"""  <data type="primary">
    <checksum type="sha256">{DIGEST}</checksum>
    <open-checksum type="sha256">{"a" * 64}</open-checksum>
    <location href="repodata/{DIGEST}-primary.xml.gz"/>
    <timestamp>1585699011.5</timestamp>
    <size>2908</size>
    <open-size>29345</open-size>
  </data>
"""
TEXT = f"""<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1585699012</revision>
  <data type="primary_db"><location href="repodata/x-primary.sqlite.bz2"/><timestamp>9</timestamp></data>
{DATA}</repomd>
"""


def parsed(text: str) -> Repomd:
    """Of a repository called so."""
    return parse_repomd(text.encode(), subject="centos7 7.9.2009/os/x86_64")


def test_the_list_of_packages_and_the_date_are_read() -> None:
    repomd = parsed(TEXT)
    assert repomd.date.isoformat() == "2020-03-31T23:56:52+00:00"
    listed = repomd.primary
    assert (listed.path, listed.sha256) == (f"repodata/{DIGEST}-primary.xml.gz", DIGEST)
    assert (listed.size_bytes, listed.open_size_bytes) == (2908, 29345)


@pytest.mark.parametrize("revision", ["", "<revision/>", "<revision>8.5.2111</revision>", "<revision>17</revision>"])
def test_a_revision_that_is_no_time_leaves_the_lists_time(revision: str) -> None:
    text = TEXT.replace("<revision>1585699012</revision>", revision)
    assert parsed(text).date.isoformat() == "2020-03-31T23:56:51+00:00"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param('type="primary">', 'type="other">', "names no list of packages", id="no-primary"),
        pytest.param('<checksum type="sha256">', '<checksum type="sha">', "a checksum of type sha,", id="sha1"),
        pytest.param(DIGEST + "</checksum>", "c0ffee</checksum>", "sha256 was expected", id="short-digest"),
        pytest.param("repodata/c0ffee", "../../c0ffee", "leads out of the repository", id="parent"),
        pytest.param('href="repodata/c0', 'href="http://x.example/c0', "leads out of the repository", id="elsewhere"),
        pytest.param("<size>2908", "<size>many", "malformed", id="size"),
        pytest.param("<size>2908", "<size>-1", "size is -1", id="negative"),
        pytest.param("<timestamp>1585699011.5", "<timestamp>1e400", "malformed", id="infinite"),
        pytest.param("<timestamp>1585699011.5", "<timestamp>nan", "malformed", id="nan"),
        pytest.param("metadata/repo", "metadata/other", "names no list of packages", id="namespace"),
    ],
)
def test_what_is_wrong_is_refused(old: str, new: str, said: str) -> None:
    text = TEXT.replace("<revision>1585699012</revision>", "")
    with pytest.raises(IntegrityError) as caught:
        parsed(text.replace(old, new))
    assert caught.value.message.startswith("centos7 7.9.2009/os/x86_64: ") and said in caught.value.message
    assert caught.value.hint == "Use another mirror." and caught.value.exit_code == ExitCode.INTEGRITY


@pytest.mark.parametrize("path", ["Packages/a+b-1.rpm", "./Packages/k/kernel-3.rpm", "a..b"])
def test_paths_below_the_repository_are_taken(path: str) -> None:
    assert check_path(path) == path.removeprefix("./")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../../b", "http://x/a", "a\\..\\b", "a\0b", ".//etc"])
def test_paths_that_lead_out_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leads out of the repository"):
        check_path(path)


def test_no_flipped_byte_gives_anything_but_a_clear_error() -> None:
    rng = random.Random(5)
    for _ in range(FUZZ_ROUNDS // 2):
        flipped = bytearray(TEXT.encode())
        for _ in range(rng.randint(1, 6)):
            flipped[rng.randrange(len(flipped))] = rng.randrange(256)
        try:
            parse_repomd(bytes(flipped), subject="x")
        except IntegrityError as error:
            assert error.message.startswith("x: ") and error.hint
