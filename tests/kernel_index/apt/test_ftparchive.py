"""Repositories of apt-ftparchive, a maker of lists that is not ours: verified and read, and their kernels found.

Names, versions and dependencies are those of Debian 12 and Ubuntu 22.04, as the other tests have them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import Kernel
from kernel_index.sources import package_urls
from kernel_index.store import load_kernels
from tests.fakes.apt_repository import CODENAME, SigningKey, kernel, table_text
from tests.fakes.file_server import FileServer
from tests.fakes.ftparchive import publish
from tests.kernel_index.distros.test_ubuntu import cloud_in_universe, hwe, native

pytestmark = pytest.mark.skipif(
    shutil.which("apt-ftparchive") is None, reason="apt-ftparchive (package apt-utils) is not installed"
)

UBUNTU = """
["ubuntu22.04"]
family = "ubuntu"
title = "Ubuntu 22.04 LTS (Jammy Jellyfish)"
version = "22.04"
codename = "jammy"
end_of_life = 2027-06-01
image = "ubuntu:22.04"
kinds = ["kmod"]
architectures = {{ x86_64 = "amd64" }}
generic_flavours = {{ x86_64 = "generic" }}
keyring = "{keyring}"
keyring_package = "ubuntu-keyring"
["ubuntu22.04".archives.main]
folder = "ubuntu"
mirrors = ["http://mirror.invalid/ubuntu"]
suites = ["jammy-updates"]
components = ["main", "universe"]
signed_by = ["{fingerprint}"]
"""


@pytest.fixture
def mirror(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A mirror that has nothing yet, and the two rows whose archives it is to carry."""
    root = tmp_path / "mirror"
    debian = table_text(key.keyring, key.fingerprint).split("[debian99.archives.security]")[0]
    debian = debian.replace(f', "{CODENAME}-backports"', "")
    ubuntu = UBUNTU.format(keyring=key.keyring, fingerprint=key.fingerprint)
    (tmp_path / "distros.toml").write_text(debian + ubuntu)
    with FileServer(root) as server:
        for name, value in (("DISTROS", "distros.toml"), ("INDEX", "index"), ("CACHE", "cache")):
            monkeypatch.setenv(f"KDRIVER_{name}", str(tmp_path / value))
        monkeypatch.setenv("KDRIVER_MIRROR", server.url)
        yield server


def updated(distro: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Kernel]:
    """Update a row, which must succeed; `uname -r` to the kernel."""
    assert run(["index", "update", "--distro", distro, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert [suite["outcome"] for suite in row["suites"]] == ["fetched"]
    return {one.release: one for one in load_kernels()}


def closure(one: Kernel, mirror: FileServer) -> dict[str, str]:
    """Role to the package's name; each must be a file of the mirror with that size and digest."""
    for package in one.packages:
        (url,) = package_urls(one, package)
        file = mirror.root / url.removeprefix(f"{mirror.url}/")
        assert (file.stat().st_size, digest(file)) == (package.size_bytes, package.sha256)
    return {str(package.role): package.name for package in one.packages}


def digest(file: Path) -> str:
    """SHA-256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(("compress", "ending"), [(". gzip xz", ".xz"), (". gzip", ".gz"), (".", "")])
def test_debians_kernels_are_found_by_hash(
    mirror: FileServer, key: SigningKey, capsys: pytest.CaptureFixture[str], compress: str, ending: str
) -> None:
    publish(mirror.root / "debian", CODENAME, kernel(), key, compress=compress, architectures=("amd64", "arm64"))
    found = updated("debian99", capsys)
    assert set(found) == {"6.1.0-56-amd64", "6.1.0-56-cloud-amd64"}
    one = found["6.1.0-56-amd64"]
    assert closure(one, mirror) == {
        "headers": "linux-headers-6.1.0-56-amd64",
        "headers-common": "linux-headers-6.1.0-56-common",
        "kbuild": "linux-kbuild-6.1",
        "image": "linux-image-6.1.0-56-amd64",
    }
    assert (one.compiler, one.libc, one.build, one.authenticated) == ("gcc-12", "2.34", "6.1.192-2", True)
    assert one.named_by == ("linux-image-amd64",)
    asked = [path for path in mirror.paths() if "Packages" in path or "by-hash" in path]
    listed = mirror.root / f"debian/dists/{CODENAME}/main/binary-amd64/Packages{ending}"
    assert asked == [f"/debian/dists/{CODENAME}/main/binary-amd64/by-hash/SHA256/{digest(listed)}"]


def test_ubuntus_kernels_are_found_in_both_components(
    mirror: FileServer, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [*native(), *hwe(), *cloud_in_universe()]
    publish(mirror.root / "ubuntu", "jammy-updates", entries, key, codename="jammy")
    found = updated("ubuntu22.04", capsys)
    assert closure(found["5.15.0-100-generic"], mirror) == {
        "headers": "linux-headers-5.15.0-100-generic",
        "headers-common": "linux-headers-5.15.0-100",
        "image": "linux-image-5.15.0-100-generic",
        "modules": "linux-modules-5.15.0-100-generic",
    }
    assert found["6.8.0-100-generic"].build == "100~22.04.1"
    assert closure(found["6.8.0-100-generic"], mirror)["headers-common"] == "linux-hwe-6.8-headers-6.8.0-100"
    assert closure(found["5.15.0-1012-gkeop"], mirror)["headers-common"] == "linux-gkeop-headers-5.15.0-1012"


def test_a_list_that_changed_after_its_release_was_signed_is_refused(
    mirror: FileServer, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(mirror.root / "debian", CODENAME, kernel(), key, compress=".")
    folder = mirror.root / f"debian/dists/{CODENAME}/main/binary-amd64"
    for path in (*folder.glob("by-hash/SHA256/*"), folder / "Packages"):
        path.write_text(path.read_text().replace("6.1.192-2", "6.1.192-3"))
    assert run(["index", "update", "--distro", "debian99", "--json"]) == ExitCode.INTEGRITY
    said = capsys.readouterr().err
    assert "was promised" in said and "hint: " in said
    assert not load_kernels()


def test_kernels_of_an_archive_that_nobody_signs_are_unauthenticated(
    mirror: FileServer, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    table = mirror.root.parent / "distros.toml"
    row = table.read_text()
    pin = f'signed_by = ["{key.fingerprint}"]'
    unsigned = row.replace(pin, 'unsigned = "made at home"', 1)
    publish(mirror.root / "debian", CODENAME, kernel(), key)
    table.write_text(unsigned)
    (mirror.root / f"debian/dists/{CODENAME}/InRelease").rename(mirror.root / "InRelease")
    assert run(["index", "update", "--distro", "debian99", "--dry-run", "--json"]) == 0
    (planned,) = json.loads(capsys.readouterr().out)
    assert planned["suites"][0]["urls"] == [f"{mirror.url}/debian/dists/{CODENAME}/Release"]
    for one in updated("debian99", capsys).values():
        assert len(one.packages) == 4 and closure(one, mirror)
        assert not one.authenticated and not any(package.authenticated for package in one.packages)

    table.write_text(row)
    (mirror.root / "InRelease").rename(mirror.root / f"debian/dists/{CODENAME}/InRelease")
    for one in updated("debian99", capsys).values():
        assert one.authenticated and all(package.authenticated for package in one.packages)


def test_of_equal_packages_the_signed_one_is_taken(
    mirror: FileServer, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    table = mirror.root.parent / "distros.toml"
    text = table.read_text()
    home = """
[debian99.archives.home]
folder = "home"
mirrors = ["http://mirror.invalid/home"]
suites = ["home"]
components = ["main"]
unsigned = "made at home"
"""
    # The unsigned archive stands first, so that only its lack of a signature puts it second.
    table.write_text(text.replace("[debian99.archives.main]", f"{home.strip()}\n[debian99.archives.main]"))
    only_image = [one for one in kernel("6.1.0-57", "6.1.200-1", flavours=("amd64",)) if "headers" not in one.name]
    publish(mirror.root / "debian", CODENAME, [*kernel(flavours=("amd64",)), *only_image], key)
    publish(mirror.root / "home", "home", kernel("6.1.0-57", "6.1.200-1", flavours=("amd64",)), key)
    assert run(["index", "update", "--distro", "debian99", "--json"]) == 0
    capsys.readouterr()
    found = {one.release: one for one in load_kernels()}
    assert found["6.1.0-56-amd64"].authenticated
    mixed = found["6.1.0-57-amd64"]
    assert not mixed.authenticated
    assert {package.name: package.authenticated for package in mixed.packages} == {
        "linux-headers-6.1.0-57-amd64": False,
        "linux-headers-6.1.0-57-common": False,
        "linux-kbuild-6.1": True,
        "linux-image-6.1.0-57-amd64": True,
    }
