"""Package lists from strangers: unpacked within bounds, searched piece by piece."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import lzma
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.core.errors import ExitCode, IntegrityError
from kdriver.core.http import Http
from kernel_index.apt.release import ListedFile, Release
from kernel_index.apt.suite import SuiteRequest, read_list, wanted_stanzas
from kernel_index.distros.debian import FAMILY
from kernel_index.suites import Question, SuiteSource
from kernel_index.table import load_table, select_rows
from tests.fakes.apt_repository import Entry

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
ROW = select_rows(load_table(Path(__file__).parents[3] / "kernel_index" / "distros.toml"), "debian12")[0]
PATH = "main/binary-amd64/Packages"


def request() -> SuiteRequest:
    """A question about bookworm."""
    source = SuiteSource("main", "bookworm", ())
    question = Question(ROW, ROW.archive("main"), source, None, frozenset(), NOW, Http())
    return SuiteRequest(question, "linux-", FAMILY.wanted, "test")


def read(packed: bytes, ending: str, size_bytes: int) -> list[str]:
    """The names of the packages in a list that its Release says to have that size unpacked."""
    plain = ListedFile(PATH, size_bytes, "0" * 64)
    entry = ListedFile(PATH + ending, len(packed), hashlib.sha256(packed).hexdigest())
    release = Release("", "bookworm", NOW, None, True, False, False, ("amd64",), (plain, entry))
    return [package.name for package in read_list(packed, entry, release, request())]


def test_wanted_packages_are_found_among_others_and_across_pieces() -> None:
    entries = [Entry(f"linux-image-6.1.0-{number}-amd64", "6.1-1") for number in range(50)]
    others = [Entry(f"hello{number}", "1.0", "linux-image-6.1.0-1-amd64") for number in range(50)]
    text = "\n".join(entry.stanza() for pair in zip(others, entries, strict=True) for entry in pair).encode()
    for size in (1, 7, 100, 4096, len(text)):
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        found = list(wanted_stanzas(pieces, b"linux-"))
        assert len(found) == 50 and all(stanza.startswith(b"Package: linux-image-") for stanza in found)


def test_a_package_field_need_not_stand_first() -> None:
    text = b"Version: 1\nPackage: hello\n\nVersion: 2\nPackage: linux-image-x\nSize: 1\n\nPackage: bye\n"
    assert list(wanted_stanzas(iter([text]), b"linux-")) == [b"Version: 2\nPackage: linux-image-x\nSize: 1"]


@pytest.mark.parametrize(("pack", "ending"), [(lzma.compress, ".xz"), (gzip.compress, ".gz"), (bytes, "")])
def test_every_compression_is_read(pack: type[bytes], ending: str) -> None:
    text = Entry("linux-image-6.1.0-1-amd64", "6.1-1").stanza().encode()
    assert read(pack(text), ending, len(text)) == ["linux-image-6.1.0-1-amd64"]


@pytest.mark.parametrize(("pack", "ending"), [(lzma.compress, ".xz"), (gzip.compress, ".gz")])
def test_a_list_that_unpacks_to_more_than_signed_is_refused_within_bounds(pack: type[bytes], ending: str) -> None:
    bomb = pack(b"Package: hello\n\n" * (300 << 16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError, match="unpacks to more than 1000 bytes"):
        read(bomb, ending, 1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize("ending", [".xz", ".gz"])
def test_a_damaged_list_is_refused(ending: str) -> None:
    text = Entry("linux-image-6.1.0-1-amd64", "6.1-1").stanza().encode()
    packed = lzma.compress(text) if ending == ".xz" else gzip.compress(text)
    for broken in (packed[: len(packed) // 2], b"nonsense" * 10, b""):
        with pytest.raises(IntegrityError, match="is damaged"):
            read(broken, ending, len(text))


def test_an_endless_entry_is_refused() -> None:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"Description: long\n" * (1 << 16)

    with pytest.raises(IntegrityError, match="endless"):
        list(wanted_stanzas(pieces(), b"linux-"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../x.deb", "pool/../../x.deb"])
def test_a_path_that_leads_out_of_the_archive_is_refused(path: str) -> None:
    entry = Entry("linux-image-6.1.0-1-amd64", "6.1-1")
    text = entry.stanza().replace(entry.path, path).encode()
    with pytest.raises(IntegrityError, match="leads out of the archive") as caught:
        read(text, "", len(text))
    assert caught.value.hint


@pytest.mark.parametrize("size", ["-1", "-0", "+1", "1_000", "1e3", "many", "\u0662", "9" * 5000])
def test_a_size_that_is_no_number_of_bytes_is_refused(size: str) -> None:
    entry = Entry("linux-image-6.1.0-1-amd64", "6.1-1")
    text = entry.stanza().replace(f"Size: {len(entry.content)}", f"Size: {size}").encode()
    with pytest.raises(IntegrityError, match=f"the entry of {entry.name} is malformed") as caught:
        read(text, "", len(text))
    assert caught.value.hint and caught.value.exit_code == ExitCode.INTEGRITY
