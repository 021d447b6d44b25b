"""A Release that lacks something is refused; the rest is tested through updates."""

from __future__ import annotations

import pytest

from kdriver.core.errors import IntegrityError
from kernel_index.apt.release import parse_release

TEXT = f"""\
Suite: oldstable
Codename: bookworm
Date: Sat, 21 Nov 2026 02:10:46 UTC
Valid-Until: Sat, 28 Nov 2026 02:10:46 UTC
NotAutomatic: yes
Acquire-By-Hash: yes
Architectures: all amd64
SHA256:
 {"a" * 64}   995799 main/binary-all/Packages
 {"b" * 64} 1906411 main/binary-amd64/Packages.xz
"""


def test_the_facts_of_a_release() -> None:
    release = parse_release(TEXT, subject="x")
    assert release.date.isoformat() == "2026-11-21T02:10:46+00:00"
    assert release.valid_until is not None and (release.valid_until - release.date).days == 7
    assert release.by_hash and release.not_automatic and release.separate_all
    entry = release.file("main/binary-amd64/Packages.xz")
    assert entry is not None and (entry.size_bytes, entry.digest) == (1906411, "b" * 64)
    assert release.file("main/binary-arm64/Packages.xz") is None


def test_architecture_all_is_not_separate_where_the_release_says_so() -> None:
    assert not parse_release(TEXT + "No-Support-for-Architecture-all: Packages\n", subject="x").separate_all
    assert not parse_release(TEXT.replace("all amd64", "amd64"), subject="x").separate_all


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(TEXT.replace("Date:", "Data:"), "has no field Date", id="no-date"),
        pytest.param(TEXT.split("SHA256")[0], "has no field SHA256", id="no-digests"),
        pytest.param(TEXT.replace("Sat, 21 Nov 2026 02:10:46", "soon"), "malformed", id="bad-date"),
        pytest.param(TEXT.replace("a" * 64, "a" * 32), "no SHA-256", id="short-digest"),
        pytest.param(TEXT.replace("995799", "many"), "malformed", id="bad-size"),
        pytest.param(TEXT.replace("995799", "-1"), "malformed", id="negative-size"),
        pytest.param("nothing", "malformed", id="no-fields"),
    ],
)
def test_a_malformed_release_is_refused(text: str, said: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        parse_release(text, subject="debian12 bookworm")
    assert caught.value.message.startswith("debian12 bookworm: ") and said in caught.value.message
