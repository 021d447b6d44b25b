"""The keys that sign a repository: four ed25519 keys in a folder of their own, and how long each signature holds."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from kdriver.core.errors import ConfigError

ROLES = ("root", "targets", "snapshot", "timestamp")
ONLINE_ROLES = ROLES[1:]
"""What a publisher needs. The root key signs only a change of keys and its own renewal: keep it elsewhere."""
POLICY = "policy.json"


@dataclass(frozen=True, slots=True)
class Policy:
    """How many hash bins the targets are spread over (2 ** bin_bits), and for how many days each role's signature
    holds. A client refuses expired metadata, so the timestamp must be renewed more often than it expires.

    256 bins suit 10,000 targets (16.6 kB of metadata for a host's first look-up, 8 ms to add one) and serve
    100,000 (81 kB); without bins a client with default limits fails above 29,000 targets.
    """

    bin_bits: int = 8
    root_days: int = 1825
    targets_days: int = 365
    snapshot_days: int = 30
    timestamp_days: int = 30

    def days(self, role: str) -> int:
        """Of `root`, `targets`, `snapshot` or `timestamp`; a bin counts as `targets`."""
        return int(getattr(self, f"{role}_days"))


@dataclass(frozen=True, slots=True)
class Keys:
    """Signers by role. root is absent when its key is kept elsewhere."""

    signers: dict[str, CryptoSigner]
    policy: Policy

    def signer(self, role: str) -> CryptoSigner:
        """The signer of a role; bins are signed by `targets`. Raises ConfigError when its key is not here."""
        if role not in self.signers:
            raise ConfigError(
                f"the {role} key is not in the keys folder", hint=f"Bring {key_file(role)} back for this command."
            )
        return self.signers[role]


def key_file(role: str) -> str:
    """The file name of a role's private key."""
    return f"{role}.pem"


def require_no_keys(folder: Path) -> None:
    """Raise ConfigError when the folder holds any key already: whoever overwrites the root key locks out every host
    that trusts it."""
    present = [role for role in ROLES if (folder / key_file(role)).exists()]
    if present:
        raise ConfigError(
            f"{folder}: holds keys already ({', '.join(map(key_file, present))}); they are never overwritten",
            hint="Name an empty folder with --keys, or pass --reuse-keys to sign a new repository with these.",
        )


def make_keys(folder: Path, policy: Policy) -> Keys:
    """Make four new keys, readable by their owner only. Raises ConfigError as require_no_keys does."""
    require_no_keys(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for role in ROLES:
            _write_private(folder / key_file(role), CryptoSigner.generate_ed25519().private_bytes)
        _write_private(folder / POLICY, (json.dumps(asdict(policy), indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written: {error.strerror}", hint="Name another --keys folder."
        ) from error
    return load_keys(folder)


def load_keys(folder: Path) -> Keys:
    """Read the keys that are in the folder. Raises ConfigError when one that a publisher needs is missing or no key."""
    signers = {}
    for role in ROLES:
        path = folder / key_file(role)
        try:
            signers[role] = CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no unencrypted private key in PEM"
            raise ConfigError(f"{path}: {reason}", hint="Restore the key from its backup.") from error
    missing = [key_file(role) for role in ONLINE_ROLES if role not in signers]
    if missing:
        raise ConfigError(
            f"{folder}: misses {', '.join(missing)}",
            hint="Name the folder that `kdriver repo init` wrote with --keys.",
        )
    return Keys(signers, _load_policy(folder / POLICY))


def _load_policy(path: Path) -> Policy:
    try:
        return Policy(**json.loads(path.read_text()))
    except FileNotFoundError:
        return Policy()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {error}", hint="Correct the file, or delete it for the defaults.") from error


def _write_private(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
