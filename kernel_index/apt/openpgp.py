"""OpenPGP signatures of distributions, checked by gpgv: only bytes that a pinned key signed are handed on."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from kdriver.core.errors import ConfigError, IntegrityError
from kdriver.packages.openpgp import judged_signatures

_WEAK_DIGESTS = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}
"""RFC 9580 9.5: hash algorithms that collide or nearly do."""

_TIMEOUT_S = 60.0


def gpgv_argv(gpgv: str, keyrings: Sequence[Path], home: Path, signed: Path, output: Path) -> list[str]:
    """The command line that checks a clear-signed file and writes the signed text, and nothing else, to `output`."""
    return [
        gpgv,
        "--homedir", str(home),
        *(word for keyring in keyrings for word in ("--keyring", str(keyring.absolute()))),
        "--status-fd", "1",
        "--output", str(output),
        str(signed),
    ]  # fmt: skip


def verified_text(
    signed: bytes,
    *,
    keyrings: Sequence[Path],
    keyring_package: str,
    signed_by: Collection[str],
    subject: str,
    archived: bool = False,
) -> str:
    """The text that is signed inside a clear-signed message; what stands outside the signature is dropped.

    At least one good signature must be by a primary key in `signed_by`, none may be bad; signatures by keys
    that the keyring lacks (a newer release's) do no harm. archived: of a release that ended long ago; the
    key may have expired since. keyrings: those that exist are used, one must.
    Raises ConfigError (gpgv or keyring missing) or IntegrityError.
    """
    gpgv = shutil.which("gpgv")
    if gpgv is None:
        raise ConfigError(
            "gpgv is not installed; it checks the signatures of distributions",
            hint="Install gpgv: apt-get install gpgv.",
        )
    present = [keyring for keyring in keyrings if keyring.is_file()]
    if not present:
        raise ConfigError(
            f"{keyrings[0]} is missing; it holds the keys that {subject} is signed with",
            hint=f"Install the keys: apt-get install {keyring_package}.",
        )
    with tempfile.TemporaryDirectory(prefix="kdriver-gpgv-") as folder:
        home = Path(folder)
        message, text = home / "message", home / "text"
        message.write_bytes(signed)
        completed = subprocess.run(
            gpgv_argv(gpgv, present, home, message, text),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        status = completed.stdout.decode("utf-8", "replace")
        judge_status(status, signed_by=signed_by, subject=subject, archived=archived)
        return text.read_text(encoding="utf-8", errors="replace")


def judge_status(status: str, *, signed_by: Collection[str], subject: str, archived: bool = False) -> None:
    """Raise IntegrityError unless gpgv's status lines (GnuPG doc/DETAILS) hold a good signature by a pinned key.

    archived: a signature or key that has expired since is good as well; a revoked key never is.
    """
    lines = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[0] for line in lines if line}
    hint = "Use another mirror; if every mirror says so, do not trust the network you are on."
    if "BADSIG" in words:
        raise IntegrityError(f"{subject}: the signature does not match the text", hint=hint)
    judged = judged_signatures(lines)
    valid = [line for _, line in judged]
    pinned = {word for word, line in judged if line[-1] in signed_by and line[8] not in _WEAK_DIGESTS}
    if "GOODSIG" in pinned or (archived and pinned & {"EXPKEYSIG", "EXPSIG"} and "REVKEYSIG" not in words):
        return
    if not valid and "ERRSIG" not in words and "NODATA" in words:
        raise IntegrityError(f"{subject}: it is not signed", hint=hint)
    if "EXPKEYSIG" in words:
        raise IntegrityError(f"{subject}: signed by a key that has expired", hint="Upgrade the keyring package.")
    if "REVKEYSIG" in words:
        raise IntegrityError(f"{subject}: signed by a key that was revoked", hint=hint)
    keys = sorted({line[-1] for line in valid} | {line[1] for line in lines if line and line[0] == "NO_PUBKEY"})
    raise IntegrityError(
        f"{subject}: not signed by a key of this distribution (signed by {', '.join(keys) or 'nobody'})", hint=hint
    )
