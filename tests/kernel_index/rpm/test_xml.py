"""Hostile XML is refused, and memory does not grow with what a list holds."""

from __future__ import annotations

import io
import os
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from kdriver.core.errors import ExitCode, IntegrityError
from kernel_index.rpm import xml
from kernel_index.rpm.xml import elements, whole

FUZZ_ROUNDS = int(os.environ.get("KDRIVER_FUZZ_ROUNDS", "2000"))
"""How many times a fuzz test tries; more on request."""

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    "<root><one>&c;</one></root>"
)
EXTERNAL = '<!DOCTYPE root [<!ENTITY a SYSTEM "file:///etc/passwd">]><root><one>&a;</one></root>'


def read(text: bytes, limit_bytes: int = 1 << 30) -> list[str | None]:
    """The texts of all elements `one`."""
    return [one.text for one in elements(io.BytesIO(text), "one", subject="list", limit_bytes=limit_bytes)]


def refused(text: bytes, limit_bytes: int = 1 << 30) -> str:
    """What reading says; it must carry a hint and the exit status."""
    with pytest.raises(IntegrityError) as caught:
        read(text, limit_bytes)
    assert caught.value.hint == "Use another mirror." and caught.value.exit_code == ExitCode.INTEGRITY
    return caught.value.message


def test_elements_come_in_order_and_others_do_not() -> None:
    assert read(b"<root><one>a</one><two>b</two><one>c&amp;&#100;</one></root>") == ["a", "c&d"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB.encode(), id="billion-laughs"),
        pytest.param(EXTERNAL.encode(), id="external"),
        pytest.param(BOMB.replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16"), id="utf-16"),
        pytest.param(b"<!-- x -->\n" + BOMB.partition("?>")[2].encode(), id="behind-a-comment"),
    ],
)
def test_a_document_type_is_refused_so_no_entity_is_expanded(text: bytes) -> None:
    assert refused(text) == "list: it declares a document type, which no repository's metadata has"
    with pytest.raises(IntegrityError, match="document type"):
        whole(text, subject="list")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"", "no element in its first 64 kB", id="empty"),
        pytest.param(b"<html><one></html>", "it is no XML", id="malformed"),
        pytest.param(b"<root><one>a</one>", "it is no XML", id="cut"),
        pytest.param(b"<!--" + b" " * 70_000 + b"--><root/>", "no element in its first 64 kB", id="late-root"),
        pytest.param(b"<root>&undeclared;</root>", "it is no XML", id="entity"),
        pytest.param(b"\0\0\0", "it is no XML", id="binary"),
    ],
)
def test_what_is_no_list_is_refused(text: bytes, said: str) -> None:
    assert said in refused(text)


def test_a_list_longer_than_promised_is_refused() -> None:
    assert "longer than such a list can be" in refused(b"<root>" + b"<one>a</one>" * 10_000 + b"</root>", 100_000)


def test_one_endless_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "ELEMENT_LIMIT_BYTES", 1 << 18)
    assert "longer than such a list can be" in refused(b"<root><one>" + b"a" * (1 << 20) + b"</one></root>")
    many = b"<root>" + (b"<one>" + b"a" * 1000 + b"</one>") * 1000 + b"</root>"
    assert len(read(many)) == 1000


class Endless(io.RawIOBase):
    """A list of so many elements that is nowhere as a whole."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._pieces = self._made(count)
        self._rest = b""

    def _made(self, count: int) -> Iterator[bytes]:
        yield b"<root>"
        for number in range(count):
            yield b"<one>%d<a/><b x='1'/></one><two/>" % number
        yield b"</root>"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while len(self._rest) < len(buffer):
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def test_memory_does_not_grow_with_the_list() -> None:
    peaks = []
    for count in (5_000, 50_000):
        tracemalloc.start()
        stream = io.BufferedReader(Endless(count))
        assert sum(1 for _ in elements(stream, "one", subject="list", limit_bytes=1 << 30)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_no_flipped_byte_gives_anything_but_a_clear_error() -> None:
    text = b"<?xml version='1.0' encoding='UTF-8'?>\n<root><one a='1'>b</one><two>c&lt;</two></root>"
    rng = random.Random(3)
    for _ in range(FUZZ_ROUNDS):
        flipped = bytearray(text)
        for _ in range(rng.randint(1, 4)):
            flipped[rng.randrange(len(flipped))] = rng.randrange(256)
        try:
            read(bytes(flipped))
        except IntegrityError as error:
            assert error.message.startswith("list: ") and error.hint
