"""Detached signatures: what gpgv must say for a content to be believed, and keys as distributions publish them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.core.errors import ExitCode, IntegrityError
from kdriver.packages.openpgp import SigningKeys, dearmored, gpgv_argv, judge_status, verify_detached
from tests.fakes.rpms import RpmKey

PINNED = "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5"
OTHER = "99DB70FAE1D7CE227FB6488205B555B38483C65D"
KEYS = SigningKeys(Path("none"), "", (PINNED,))
EXPIRED_TOO = SigningKeys(Path("none"), "", (PINNED,), past_expiry=True)


def valid(primary: str, digest: str = "8", word: str = "GOODSIG") -> str:
    """The lines of a signature that fits, by a subkey of `primary`."""
    return (
        f"[GNUPG:] {word} 24C6A8A7F4A80EB5 CentOS\n"
        f"[GNUPG:] VALIDSIG {'4' * 40} 2018-11-23 1542994242 0 4 0 1 {digest} 00 {primary}\n"
    )


UNKNOWN = "[GNUPG:] ERRSIG 78DBA3BC47EF2265 1 8 00 1795227113 9 X\n[GNUPG:] NO_PUBKEY 78DBA3BC47EF2265\n"


@pytest.mark.parametrize(
    ("status", "keys"),
    [
        pytest.param(valid(PINNED), KEYS, id="good"),
        pytest.param(UNKNOWN + valid(PINNED), KEYS, id="beside-an-unknown-key"),
        pytest.param(valid(PINNED, word="EXPKEYSIG"), EXPIRED_TOO, id="expired-since-and-allowed"),
    ],
)
def test_a_good_signature_by_a_pinned_key_is_believed(status: str, keys: SigningKeys) -> None:
    assert judge_status(status, keys, subject="centos7 os") == PINNED


@pytest.mark.parametrize(
    ("status", "keys", "said"),
    [
        pytest.param("[GNUPG:] BADSIG 24C6 CentOS\n", KEYS, "the signature does not match the content", id="bad"),
        pytest.param(
            valid(PINNED) + "[GNUPG:] BADSIG 24C6 x\n", KEYS, "the signature does not match", id="bad-beside-good"
        ),
        pytest.param(valid(OTHER), KEYS, f"(signed by {OTHER})", id="another-key"),
        pytest.param(UNKNOWN, KEYS, "(signed by 78DBA3BC47EF2265)", id="unknown-key"),
        pytest.param("[GNUPG:] NODATA 4\n", KEYS, "(signed by nobody)", id="nothing"),
        pytest.param("", KEYS, "(signed by nobody)", id="silence"),
        pytest.param(valid(PINNED, digest="2"), KEYS, "signed with SHA-1, which can be forged", id="sha1"),
        pytest.param(valid(PINNED, word="EXPKEYSIG"), KEYS, "by a key that has expired", id="expired"),
        pytest.param(valid(PINNED, word="REVKEYSIG"), EXPIRED_TOO, "by a key that was revoked", id="revoked"),
        pytest.param(
            valid(PINNED, word="EXPKEYSIG") + valid(OTHER), KEYS, "has expired", id="expired-beside-a-stranger"
        ),
        pytest.param(valid(OTHER, word="EXPKEYSIG"), EXPIRED_TOO, f"(signed by {OTHER})", id="expired-stranger"),
    ],
)
def test_anything_else_is_refused(status: str, keys: SigningKeys, said: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        judge_status(status, keys, subject="centos7 os")
    assert caught.value.message.startswith("centos7 os: ") and said in caught.value.message
    assert caught.value.hint and caught.value.exit_code == ExitCode.INTEGRITY


def test_the_command_line_reads_the_content_from_stdin() -> None:
    argv = gpgv_argv("/usr/bin/gpgv", Path("/k/ring.gpg"), Path("/h"), Path("/h/sig"))
    assert argv == [
        "/usr/bin/gpgv", "--homedir", "/h", "--keyring", "/k/ring.gpg", "--status-fd", "1", "/h/sig", "-",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def key() -> Iterator[RpmKey]:
    """A key in armour, as RPM-GPG-KEY-… files are."""
    with RpmKey("made") as made:
        yield made


def test_armour_is_taken_off_keys_and_signatures(key: RpmKey, tmp_path: Path) -> None:
    keys = SigningKeys(key.keyring, "", (key.fingerprint,))
    content = b"text" * 100_000
    for armor in (True, False):
        signature = key.detached(content, armor=armor)
        assert verify_detached([content[:7], content[7:]], signature, keys, subject="x") == key.fingerprint
    with pytest.raises(IntegrityError, match="x: the signature does not match the content"):
        verify_detached([content, b"!"], signature, keys, subject="x")


def test_several_blocks_with_comments_and_headers_are_all_taken() -> None:
    words = b"PGP PUBLIC KEY BLOCK-----\n"
    block = b"-----BEGIN " + words + b"Version: GnuPG v1.4.5 (GNU/Linux)\n\nAAEC\nAwQ=\n=abcd\n-----END " + words
    assert dearmored(b"The following key:\n\n" + block + b"pub 4096R\n" + block.replace(b"\n", b"\r\n")) == bytes(
        [0, 1, 2, 3, 4] * 2
    )
    assert dearmored(b"\x99\x01binary") == b"\x99\x01binary"


def test_a_damaged_armour_is_refused() -> None:
    with pytest.raises(IntegrityError, match="an OpenPGP armour is damaged") as caught:
        dearmored(b"-----BEGIN PGP SIGNATURE-----\n\nAA!C\n-----END PGP SIGNATURE-----\n")
    assert caught.value.hint == "Fetch it again."
