"""The interface versions: what consumers see may not change under a version that was given out."""

from __future__ import annotations

import hashlib
import tomllib

from kdriver.catalogue.load import load_catalogue
from kdriver.catalogue.render import schema_digest
from kdriver.core.paths import source_dir

_API_FILES = ("common/kd_ioctl.h",)


def _lock() -> dict[str, dict[str, str]]:
    return tomllib.loads((source_dir("driver_src") / "versions.lock.toml").read_text())


def test_a_changed_table_of_events_needs_a_new_schema_version() -> None:
    catalogue = load_catalogue()
    assert _lock()["schema"][catalogue.versions.schema] == schema_digest(catalogue)


def test_a_changed_device_interface_needs_a_new_api_version() -> None:
    digest = hashlib.sha256()
    for name in _API_FILES:
        digest.update((source_dir("driver_src") / name).read_bytes())
    assert _lock()["api"][load_catalogue().versions.api] == digest.hexdigest()


def test_the_newest_version_is_the_one_in_use() -> None:
    lock, versions = _lock(), load_catalogue().versions
    assert list(lock["schema"])[-1] == versions.schema
    assert list(lock["api"])[-1] == versions.api


def test_the_compatibility_pair_is_what_libscap_asks_for() -> None:
    """Consumers of Falco libs 10.2 ask for API major 10, minor 0 or more, and schema major 4, minor 3 or more."""
    versions = load_catalogue().versions
    assert versions.compat_api.split(".")[0] == "10"
    major, minor, _ = (int(part) for part in versions.compat_schema.split("."))
    assert major == 4 and minor >= 3
