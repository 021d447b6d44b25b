"""What gpgv's status lines (GnuPG doc/DETAILS) must say for a text to be believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.errors import ExitCode, IntegrityError
from kernel_index.apt.openpgp import gpgv_argv, judge_status

PINNED = "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8"
OTHER = "04B54C3CDCA79751B16BC6B5225629DF75B188BD"


def good(primary: str, digest: str = "8") -> str:
    """The lines of a good signature by a subkey of `primary`."""
    return (
        "[GNUPG:] GOODSIG 6ED0E7B82643E131 Debian Archive\n"
        f"[GNUPG:] VALIDSIG {'4' * 40} 2026-11-21 1795227094 0 4 0 1 {digest} 01 {primary}\n"
    )


UNKNOWN = "[GNUPG:] ERRSIG 78DBA3BC47EF2265 1 8 01 1795227113 9 X\n[GNUPG:] NO_PUBKEY 78DBA3BC47EF2265\n"


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(good(PINNED), id="one"),
        pytest.param(good(PINNED) + good(OTHER), id="beside-another-key"),
        pytest.param(UNKNOWN + good(PINNED), id="beside-a-newer-releases-key"),
    ],
)
def test_a_good_signature_by_a_pinned_key_is_believed(status: str) -> None:
    judge_status(status, signed_by=[PINNED], subject="debian12 bookworm")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param("", "not signed by a key of this distribution (signed by nobody)", id="nothing"),
        pytest.param("[GNUPG:] NODATA 4\n", "it is not signed", id="no-signature"),
        pytest.param(good(PINNED) + "[GNUPG:] BADSIG 1 x\n", "the signature does not match the text", id="bad"),
        pytest.param(good(OTHER), f"signed by {OTHER}", id="not-pinned"),
        pytest.param(UNKNOWN, "signed by 78DBA3BC47EF2265", id="unknown-key"),
        pytest.param(good(PINNED, digest="2"), "not signed by a key", id="sha1"),
        pytest.param(good(PINNED).replace("GOODSIG", "EXPKEYSIG"), "a key that has expired", id="expired-key"),
        pytest.param(good(PINNED).replace("GOODSIG", "REVKEYSIG"), "a key that was revoked", id="revoked-key"),
        pytest.param(
            good(PINNED).replace("GOODSIG", "EXPKEYSIG") + good(OTHER), "has expired", id="expired-beside-a-stranger"
        ),
        pytest.param(
            good(OTHER) + good(PINNED).replace("GOODSIG", "REVKEYSIG"), "was revoked", id="revoked-beside-a-stranger"
        ),
        pytest.param(good(PINNED).replace("[GNUPG:] ", ""), "not signed by a key", id="no-status-lines"),
    ],
)
def test_everything_else_is_refused(status: str, said: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        judge_status(status, signed_by=[PINNED], subject="debian12 bookworm")
    assert caught.value.message.startswith("debian12 bookworm: ") and said in caught.value.message
    assert caught.value.hint and caught.value.exit_code == ExitCode.INTEGRITY


def test_gpgv_writes_the_signed_text_and_uses_no_keys_of_the_user() -> None:
    argv = gpgv_argv("/usr/bin/gpgv", [Path("/k.gpg")], Path("/tmp/h"), Path("/tmp/h/m"), Path("/tmp/h/t"))
    said = "/usr/bin/gpgv --homedir /tmp/h --keyring /k.gpg --status-fd 1 --output /tmp/h/t /tmp/h/m"
    assert argv == said.split()
