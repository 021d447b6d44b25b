"""The keys of a repository: made once, private, and the root's may be elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, ExitCode
from kdriver.repository import metadata
from kdriver.repository.keys import ROLES, Policy, key_file, load_keys, make_keys
from kdriver.repository.store import FolderStore
from tests.fakes.published import Published, candidate


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", Policy())
    for role in ROLES:
        assert stat.S_IMODE((tmp_path / "keys" / key_file(role)).stat().st_mode) == 0o600


@pytest.mark.parametrize("role", ROLES)
def test_a_key_that_is_there_is_never_overwritten(tmp_path: Path, role: str) -> None:
    kept = tmp_path / key_file(role)
    kept.write_bytes(b"precious")
    with pytest.raises(ConfigError) as caught:
        make_keys(tmp_path, Policy())
    assert caught.value.message == f"{tmp_path}: holds keys already ({role}.pem); they are never overwritten"
    assert caught.value.hint and "empty folder" in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE
    assert kept.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [kept]


def test_publishing_needs_no_root_key(tmp_path: Path) -> None:
    published = Published(tmp_path)
    (tmp_path / "keys" / "root.pem").unlink()
    published.keys = load_keys(tmp_path / "keys")
    assert published.publish(candidate(tmp_path))[0].action == "published"


def test_making_a_repository_without_the_root_key_says_which_one_is_missing(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", Policy(bin_bits=4))
    (tmp_path / "keys" / "root.pem").unlink()
    with pytest.raises(ConfigError) as caught:
        metadata.create(FolderStore(tmp_path / "repository"), load_keys(tmp_path / "keys"))
    assert caught.value.message == "the root key is not in the keys folder"
    assert caught.value.hint == "Bring root.pem back for this command."


def test_missing_publishing_keys_are_named_together(tmp_path: Path) -> None:
    make_keys(tmp_path, Policy())
    (tmp_path / "snapshot.pem").unlink()
    (tmp_path / "timestamp.pem").unlink()
    with pytest.raises(ConfigError, match=r"misses snapshot\.pem, timestamp\.pem"):
        load_keys(tmp_path)


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    make_keys(tmp_path, Policy())
    (tmp_path / "targets.pem").write_text("not a key")
    with pytest.raises(ConfigError, match=r"targets\.pem: is no unencrypted private key in PEM"):
        load_keys(tmp_path)


def test_the_keys_of_another_repository_are_refused(tmp_path: Path) -> None:
    published = Published(tmp_path / "one")
    published.keys = Published(tmp_path / "two").keys
    with pytest.raises(ConfigError, match="is not signed by the root key in the keys folder"):
        published.publish(candidate(tmp_path))


def test_the_policy_that_the_keys_were_made_with_is_kept(tmp_path: Path) -> None:
    policy = Policy(bin_bits=4, timestamp_days=3)
    make_keys(tmp_path, policy)
    assert load_keys(tmp_path).policy == policy
