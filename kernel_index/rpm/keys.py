"""The keys that may sign what an archive holds, from its row."""

from __future__ import annotations

from pathlib import Path

from kdriver.packages.openpgp import SigningKeys
from kernel_index.table import Archive, DistroRow


def signing_keys(row: DistroRow, archive: Archive) -> SigningKeys | None:
    """None where the row says that nothing is signed. An archived release's keys count after their end too: what was
    signed while they were good stays signed."""
    if archive.unsigned:
        return None
    keyring = archive.keyring or row.keyring
    package = archive.keyring_package or row.keyring_package
    assert keyring is not None
    return SigningKeys(Path(keyring), package, archive.signed_by, past_expiry=archive.archived)
