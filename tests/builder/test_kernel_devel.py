"""Drivers from the headers of an RPM: a signed kernel-devel of rpmbuild, fetched from loopback, by the command."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.store import RowIndex, write_row
from tests.fakes.file_server import FileServer
from tests.fakes.rpms import Built, RpmKey, build_rpms
from tests.fakes.tiny_kernel import TOY_DRIVER, TinyKernel, devel_files

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild (package rpm) is not installed")

VERSION = "3.10.0-957.el7"
RELEASE = f"{VERSION}.x86_64"
ROW = """
[{family}7]
family = "{family}"
title = "{family} made by a test"
version = "7"
codename = "Core"
end_of_life = 2024-06-30
image = "{family}:7"
kinds = ["kmod"]
architectures = {{ x86_64 = "x86_64" }}
generic_flavours = {{ x86_64 = "generic" }}
keyring = "{keyring}"
keyring_package = "made-keys"
[{family}7.archives.vault]
folder = "vault"
mirrors = ["{url}"]
suites = ["os"]
signed_by = ["{fingerprint}"]
"""


@pytest.fixture(scope="module")
def key() -> Iterator[RpmKey]:
    """The distribution's key."""
    with RpmKey("centos") as made:
        yield made


@pytest.fixture(scope="module")
def devel(tmp_path_factory: pytest.TempPathFactory, key: RpmKey) -> Path:
    """The kernel-devel of a kernel that does not exist, signed."""
    folder = tmp_path_factory.mktemp("devel")
    files = devel_files(TinyKernel(release=RELEASE, version=VERSION), folder / "source")
    version, _, release = VERSION.partition("-")
    made = build_rpms([Built("kernel-devel", version, release, files=files)], folder)
    key.sign_rpms(made)
    return made[0]


@pytest.fixture
def mirror(tmp_path: Path, devel: Path, key: RpmKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that loopback serves, which holds the package; kdriver's table and index know it as CentOS's."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    shutil.copy(devel, folder / devel.name)
    with FileServer(folder) as server:
        words = {"keyring": key.keyring, "fingerprint": key.fingerprint, "url": server.url}
        (tmp_path / "distros.toml").write_text("".join(ROW.format(family=one, **words) for one in ("centos", "rhel")))
        for name in ("distros.toml", "index", "cache"):
            monkeypatch.setenv(f"KDRIVER_{name.removesuffix('.toml').upper()}", str(tmp_path / name))
        monkeypatch.delenv("KDRIVER_MIRROR", raising=False)
        index(folder / devel.name, tmp_path / "index")
        yield folder


def index(rpm: Path, folder: Path) -> None:
    """Write down the kernel whose headers the file holds."""
    content = rpm.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    package = Package(PackageRole.HEADERS, "kernel-devel", VERSION, "x86_64", "vault", rpm.name, len(content), digest)
    kernel = Kernel("centos", "centos7", RELEASE, "1", VERSION, "x86_64", "generic", (package,))
    write_row(RowIndex("centos7", "2026-01-01T00:00:00Z", (), (kernel,)), folder)


def build(*words: str) -> int:
    """`kdriver build` of the module for that release."""
    return run(["build", "--driver-src", str(TOY_DRIVER), "--kind", "kmod", "--kernel", RELEASE, *words])


@pytest.mark.usefixtures("mirror")
def test_a_module_is_built_from_a_kernel_devel(capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--distro", "centos7", "--json") == ExitCode.DONE
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["kernel"], found["outcome"]) == (f"centos/x86_64/{RELEASE}/{VERSION}", "built")
    record = json.loads(Path(found["artifact"]).with_name("record.json").read_text())
    assert record["vermagic"] == f"{RELEASE} SMP mod_unload modversions"
    assert f"kernel-devel-{RELEASE}.rpm" in [one["name"] for one in record["inputs"]]


def test_a_kernel_devel_that_the_row_s_key_did_not_sign_is_not_used(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RpmKey("stranger") as stranger:
        (rpm,) = mirror.iterdir()
        stranger.sign_rpms([rpm])
    index(rpm, tmp_path / "index")
    assert build("--distro", "centos7", "--json") == ExitCode.INTEGRITY
    (found,) = json.loads(capsys.readouterr().out)
    assert found["outcome"] == "failed" and found["reason"].startswith(f"integrity: {rpm.name}: ") and found["hint"]
    assert not list((tmp_path / "cache" / "headers").glob("[!.]*"))
