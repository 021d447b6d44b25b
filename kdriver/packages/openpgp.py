"""Detached OpenPGP signatures, checked by gpgv against pinned keys.

gpgv and no library: the keys of older distributions carry SHA-1 signatures on themselves, which gpgv still takes
and newer implementations refuse, whatever digest the signature in question uses.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdriver.core.errors import ConfigError, IntegrityError

_WEAK_DIGESTS = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}
"""RFC 9580 9.5: hash algorithms that collide or nearly do."""

_JUDGEMENTS = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")

_TIMEOUT_S = 120.0
_ARMOR = re.compile(
    rb"-----BEGIN PGP (?:PUBLIC KEY BLOCK|SIGNATURE)-----\s*?\n(?:[!-9;-~]+:[^\n]*\n)*\s*\n(.*?)\n"
    rb"(?:=[A-Za-z0-9+/]{4}\s*\n)?-----END PGP ",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys that may sign something.

    keyring: of gpgv or armoured, as files of keys are published. package: the Debian package that installs it,
    empty for one that comes with kdriver. signed_by: fingerprints of the primary keys, upper-case hex; other
    keys of the keyring count for nothing. past_expiry: also take what a key signed that has expired since.
    """

    keyring: Path
    package: str
    signed_by: tuple[str, ...]
    past_expiry: bool = False


def gpgv_argv(gpgv: str, keyring: Path, home: Path, signature: Path) -> list[str]:
    """The command line that checks a detached signature of what comes on stdin."""
    return [
        gpgv,
        "--homedir", str(home),
        "--keyring", str(keyring.absolute()),
        "--status-fd", "1",
        str(signature),
        "-",
    ]  # fmt: skip


def verify_detached(content: Iterable[bytes], signature: bytes, keys: SigningKeys, *, subject: str) -> str:
    """The fingerprint of the primary key that signed the content, one of keys.signed_by.

    content: in pieces of any length. signature: binary or armoured. subject: how messages call it.
    Raises ConfigError (gpgv or keyring missing) or IntegrityError.
    """
    gpgv = shutil.which("gpgv")
    if gpgv is None:
        raise ConfigError(
            "gpgv is not installed; it checks the signatures of distributions",
            hint="Install gpgv: apt-get install gpgv.",
        )
    with tempfile.TemporaryDirectory(prefix="kdriver-gpgv-") as folder:
        home = Path(folder)
        keyring, signed = home / "keyring.gpg", home / "signature"
        keyring.write_bytes(dearmored(_read_keyring(keys, subject)))
        signed.write_bytes(dearmored(signature))
        status = _gpgv_status(gpgv_argv(gpgv, keyring, home, signed), content)
    return judge_status(status, keys, subject=subject)


def dearmored(text: bytes) -> bytes:
    """The binary form of armoured keys or signatures, all blocks in order; what is not armoured comes back as it
    is. Raises IntegrityError."""
    if not text.lstrip().startswith(b"-----BEGIN PGP ") and b"\n-----BEGIN PGP " not in text:
        return text
    blocks = _ARMOR.findall(text.replace(b"\r\n", b"\n"))
    try:
        if not blocks:
            raise ValueError("no whole block")
        return b"".join(base64.b64decode(b"".join(block.split()), validate=True) for block in blocks)
    except (ValueError, binascii.Error) as error:
        raise IntegrityError(f"an OpenPGP armour is damaged ({error})", hint="Fetch it again.") from error


def judge_status(status: str, keys: SigningKeys, *, subject: str) -> str:
    """The pinned key of which gpgv's status lines (GnuPG doc/DETAILS) report a good signature. Raises IntegrityError.

    A signature by a key that the keyring lacks does no harm beside a good one; a bad one does.
    """
    lines = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[0] for line in lines if line}
    hint = "Use another mirror; if every mirror says so, do not trust the network you are on."
    if "BADSIG" in words:
        raise IntegrityError(f"{subject}: the signature does not match the content", hint=hint)
    judged = judged_signatures(lines)
    valid = [line for _, line in judged]
    strong = [(word, line[-1]) for word, line in judged if line[8] not in _WEAK_DIGESTS]
    pinned = [(word, key) for word, key in strong if key in keys.signed_by]
    good = [key for word, key in pinned if word == "GOODSIG" or (word == "EXPKEYSIG" and keys.past_expiry)]
    if good and "REVKEYSIG" not in words:
        return good[0]
    if "REVKEYSIG" in words:
        raise IntegrityError(f"{subject}: signed by a key that was revoked", hint=hint)
    if pinned and "EXPKEYSIG" in words:
        raise IntegrityError(f"{subject}: signed by a key that has expired", hint="Name a newer keyring in the row.")
    if valid and not strong:
        raise IntegrityError(f"{subject}: signed with {_WEAK_DIGESTS[valid[0][8]]}, which can be forged", hint=hint)
    signers = sorted({line[-1] for line in valid} | {line[1] for line in lines if line and line[0] == "NO_PUBKEY"})
    raise IntegrityError(
        f"{subject}: not signed by a key of this distribution (signed by {', '.join(signers) or 'nobody'})", hint=hint
    )


def judged_signatures(lines: Sequence[Sequence[str]]) -> list[tuple[str, Sequence[str]]]:
    """Of gpgv's status lines, as words, each VALIDSIG with what gpgv says of that very signature just before it:
    GOODSIG, EXPSIG, EXPKEYSIG or REVKEYSIG. A good signature by one key makes another key's no better."""
    judged: list[tuple[str, Sequence[str]]] = []
    word = ""
    for line in lines:
        if line and line[0] in _JUDGEMENTS:
            word = line[0]
        elif line and line[0] == "VALIDSIG":
            judged.append((word, line))
            word = ""
    return judged


def _read_keyring(keys: SigningKeys, subject: str) -> bytes:
    try:
        return keys.keyring.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"{keys.keyring} is missing; it holds the keys that {subject} is signed with",
            hint=f"Install the keys: apt-get install {keys.package}." if keys.package else "Install kdriver anew.",
        ) from error


def _gpgv_status(argv: list[str], content: Iterable[bytes]) -> str:
    """gpgv's status lines. It may stop reading early: then what it said is the answer."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        try:
            for piece in content:
                process.stdin.write(piece)
        except BrokenPipeError:
            pass
        except BaseException:
            process.kill()
            raise
        try:
            status, _ = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise IntegrityError("gpgv did not come to an end", hint="Try again.") from None
    return status.decode("utf-8", "replace")
