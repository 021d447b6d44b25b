"""`kdriver index archive`: what left the lists is asked for, and packages are kept before they go."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core import paths
from kdriver.core.download import cached
from kdriver.core.kernel import Kernel, PackageRole, PackageState
from kernel_index.archive import ask_states
from kernel_index.query import find_kernels
from kernel_index.sources import package_urls
from tests.fakes.apt_repository import NOW, Entry, kernel
from tests.kernel_index.conftest import Distribution

LATER = NOW + datetime.timedelta(seconds=5)
ABI, VERSION = "6.1.0-55", "6.1.192-1"


def one(release: str) -> Kernel:
    """The kernel of that `uname -r`."""
    (found,) = find_kernels(kernel=release)
    return found


def update() -> None:
    """Update, which must succeed."""
    assert run(["index", "update"]) == 0


def leave_image_only(distribution: Distribution) -> None:
    """The security archive lists an ABI's images only; its headers' files stay where they were."""
    distribution.security.publish("clover-security", [*kernel(), *kernel(ABI, VERSION)])
    image = [entry for entry in kernel(ABI, VERSION, headers=False) if entry.name.startswith("linux-image-6")]
    distribution.security.publish("clover-security", [*kernel(), *image], date=LATER)


def states(found: Kernel) -> dict[str, tuple[str, bool]]:
    """Role to state and whether it is authenticated."""
    return {str(package.role): (str(package.state), package.authenticated) for package in found.packages}


def test_headers_that_were_once_listed_keep_their_digest_and_are_asked_for(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    distribution.security.publish("clover-security", [*kernel(), *kernel(ABI, VERSION)])
    update()
    leave_image_only(distribution)
    update()
    release = f"{ABI}-amd64"
    assert states(one(release))["headers"] == ("unlisted", True)
    assert run(["index", "archive", "--kernel", release]) == 0
    found = one(release)
    assert states(found)["headers"] == ("served", True) and found.authenticated
    headers = found.package(PackageRole.HEADERS)
    assert headers is not None
    (distribution.security.folder / headers.path).unlink()
    (asked,) = ask_states([found])
    assert states(asked)["headers"] == ("gone", True)
    assert states(asked)["headers-common"] == ("served", True)


def test_headers_that_no_list_ever_named_are_unauthenticated(
    distribution: Distribution, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_image_only(distribution)
    update()
    release = f"{ABI}-cloud-amd64"
    assert list(states(one(release))) == ["image"]
    assert run(["index", "archive", "--kernel", release, "--dry-run", "--json"]) == 0
    capsys.readouterr()
    assert list(states(one(release))) == ["image"], "a dry run notes nothing"
    assert run(["index", "archive", "--kernel", release, "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert {(each["outcome"], each["authenticated"]) for each in kept} == {("kept", False)}
    found = one(release)
    assert not found.authenticated
    assert {role: authenticated for role, (_, authenticated) in states(found).items()} == {
        "headers": False,
        "headers-common": False,
        "kbuild": False,
        "image": True,
    }
    headers = found.package(PackageRole.HEADERS)
    assert headers is not None
    assert headers.sha256 and headers.size_bytes == len(Entry(headers.name, VERSION).content)
    update()
    assert states(one(release)) == states(found) and not one(release).authenticated


def test_headers_of_which_a_part_is_gone_are_not_offered(distribution: Distribution) -> None:
    leave_image_only(distribution)
    update()
    common = f"pool/main/l/linux/linux-headers-{ABI}-common_{VERSION}_all.deb"
    (distribution.security.folder / common).unlink()
    (asked,) = ask_states([one(f"{ABI}-amd64")])
    assert list(states(asked)) == ["image"]


def test_a_server_that_does_not_answer_changes_no_state(distribution: Distribution) -> None:
    leave_image_only(distribution)
    update()
    found = one(f"{ABI}-amd64")
    packages = tuple(dataclasses.replace(one, state=PackageState.UNLISTED) for one in found.packages)
    lost = dataclasses.replace(found, packages=packages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_MIRROR", "http://nobody.invalid")
        assert ask_states([lost]) == (lost,)


def test_what_is_kept_needs_no_network_any_more(
    distribution: Distribution, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    update()
    monkeypatch.setenv("KDRIVER_ARCHIVE", str(tmp_path / "archive"))
    release = "6.1.0-56-amd64"
    assert run(["index", "archive", "--kernel", release]) == 0
    assert len(list(paths.archive_dir().rglob("*.deb"))) == 3, "headers only"
    asked = len(distribution.server.requests)
    assert run(["index", "archive", "--kernel", release]) == 0
    assert "3 were there already" in capsys.readouterr().out
    assert len(distribution.server.requests) == asked
    monkeypatch.setenv("KDRIVER_MIRROR", "http://nobody.invalid")
    found = one(release)
    for package in found.packages:
        if package.role is not PackageRole.IMAGE:
            file = cached(package_urls(found, package), package.digest, package.size_bytes, package.file_name)
            assert file.is_relative_to(tmp_path / "archive")


def test_a_package_that_cannot_be_had_is_named(distribution: Distribution, capsys: pytest.CaptureFixture[str]) -> None:
    update()
    common = one("6.1.0-56-amd64").package(PackageRole.HEADERS_COMMON)
    assert common is not None
    (distribution.security.folder / common.path).write_bytes(b"something else")
    assert run(["index", "archive", "--kernel", "6.1.0-56-amd64"]) == 1
    shown = capsys.readouterr().out
    assert "failed" in shown and common.name in shown
