"""From nothing to modules in containers: the image of one suite by mmdebstrap, its kernels built in it without a
network, the image carried in a file, and a kernel-devel of a yum repository built in it under CentOS 7's name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.bench import fetch_package, unpack_package
from builder.headers import prepare_headers
from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import Kernel, PackageRole, PackageState
from kdriver.core.paths import cache_dir
from kdriver.executors.container_plan import LABEL
from kdriver.executors.engine import find_engine
from kdriver.inspect.elf import read_module
from kernel_index.query import select_kernels
from kernel_index.store import load_kernels
from tests.fakes.devel_tree import merge_tree
from tests.fakes.engine import may_run, private_engine
from tests.fakes.file_server import FileServer
from tests.fakes.rpms import Built, RpmKey, build_rpms, make_repository

pytestmark = [
    pytest.mark.docker,
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(bool(may_run()), reason=may_run()),
]
Capture = pytest.CaptureFixture[str]
EL_VERSION = "3.10.0-9999.el7"
EL_RELEASE = f"{EL_VERSION}.x86_64"
EL_TABLE = """
[centos7]
family = "centos"
title = "CentOS Linux 7"
version = "7"
codename = "Core"
end_of_life = 2024-06-30
image = "registry.invalid/centos:7"
image_template = "yum"
compilers = ["gcc"]
kinds = ["kmod"]
architectures = {{ x86_64 = "x86_64" }}
generic_flavours = {{ x86_64 = "generic" }}
keyring = "{keyring}"
keyring_package = "made-keys"
[centos7.archives.os]
folder = "centos"
mirrors = ["http://mirror.invalid/centos"]
suites = ["7/os/$basearch"]
signed_by = ["{fingerprint}"]
"""


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An engine without any image, and the index of Debian 13; headers stay in this machine's own cache."""
    with private_engine() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_ENGINE", url)
        patch.setenv("KDRIVER_INDEX", str(tmp_path_factory.mktemp("index")))
        assert run(["index", "update", "--distro", "debian13"]) == ExitCode.DONE
        yield


@pytest.fixture(scope="module")
def image(site: None) -> dict[str, Any]:
    """Debian 13's image, made from nothing."""
    words = ["images", "build", "debian13", "--base", "mmdebstrap", "--json"]
    done = subprocess.run([sys.executable, "-m", "kdriver.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)
    assert made["built"] and made["fresh"] and made["size_bytes"] < 400_000_000
    found: dict[str, Any] = made
    return found


def newest_cloud(line: str) -> Kernel:
    """The newest kernel of that line for clouds whose headers the index has."""
    kernels = select_kernels(load_kernels(), distro="debian13")
    fitting = [one for one in kernels if one.flavour == "cloud-amd64" and one.release.startswith(line)]
    return [
        one
        for one in fitting
        if any(part.role is PackageRole.HEADERS and part.state is not PackageState.GONE for part in one.packages)
    ][-1]


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def left_containers() -> list[str]:
    engine = find_engine()
    assert engine is not None
    there = engine.connect().containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    return [str(one.name) for one in there]


@pytest.mark.parametrize("line", ["6.12.", "7."])
def test_module_is_built_in_the_image_of_its_suite(line: str, image: dict[str, Any], capsys: Capture) -> None:
    kernel = newest_cloud(line)
    words = ["build", "--kernel", kernel.key, "--kind", "kmod", "--force", "--json"]
    assert run([*words, "--executor", "container"]) == ExitCode.DONE
    (found,) = results(capsys)
    assert found["outcome"] == "built"
    assert found["compiler"].startswith("gcc-14 ")
    module = read_module(Path(found["artifact"]))
    assert module.release == kernel.release
    record = json.loads(Path(found["artifact"]).with_name("record.json").read_text())
    assert {"name": "image debian13", "sha256": image["id"].removeprefix("sha256:")} in record["inputs"]
    assert left_containers() == []


def test_where_this_machine_has_no_such_toolchain_auto_takes_the_image(image: dict[str, Any], capsys: Capture) -> None:
    key = newest_cloud("7.").key
    words = ["build", "--kernel", key, "--kind", "kmod", "--explain", "--json"]
    assert run([*words, "--executor", "local"]) == ExitCode.BUILD
    (here,) = results(capsys)
    assert here["toolchain"] is None
    assert here["hint"].startswith("Build in a container: kdriver images build debian13")
    assert run(words) == ExitCode.DONE
    (found,) = results(capsys)
    assert (found["toolchain"]["where"], found["toolchain"]["image"]) == ("image debian13", image["id"])


@pytest.mark.usefixtures("image")
def test_ctrl_c_leaves_no_container_and_the_next_run_builds() -> None:
    words = ["build", "--kernel", newest_cloud("7.").key, "--kind", "kmod", "--executor", "container", "--force"]
    argv = [sys.executable, "-m", "kdriver.cli", *words]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 240
        while not left_containers() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=240)[1]
    assert process.returncode == 130, said
    assert left_containers() == []
    assert run(words) == ExitCode.DONE


def test_the_same_image_is_made_once(image: dict[str, Any], capsys: Capture) -> None:
    engine = find_engine()
    assert engine is not None
    base = next(
        tag for one in engine.connect().images.list() for tag in one.tags if tag.startswith("kdriver/base-debian13:")
    )
    assert run(["images", "build", "debian13", "--base", base, "--json"]) == ExitCode.DONE
    first = results(capsys)[0]
    assert run(["images", "build", "debian13", "--base", base, "--json"]) == ExitCode.DONE
    again = results(capsys)[0]
    assert (again["built"], again["id"], again["tag"]) == (False, first["id"], first["tag"])


@pytest.fixture(scope="module")
def carried(image: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image in a file."""
    file = tmp_path_factory.mktemp("carried") / "images.tar"
    assert run(["images", "export", "debian13", "--out", str(file)]) == ExitCode.DONE
    return file


def test_a_damaged_file_is_refused_before_the_engine_gets_it(carried: Path, tmp_path: Path, capsys: Capture) -> None:
    damaged = tmp_path / "images.tar"
    content = bytearray(carried.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert run(["images", "import", str(damaged), "--as", "debian11"]) == ExitCode.INTEGRITY
    said = capsys.readouterr().err
    assert "image debian13: sha256 " in said and "nothing of it was taken" in said
    assert run(["images", "list", "--json"]) == ExitCode.DONE
    assert next(one for one in results(capsys) if one["name"] == "debian11")["state"] == "-"


def test_kernel_devel_of_a_yum_repository_is_built_in_a_stand_in_for_centos_7(
    carried: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = newest_cloud("6.12.")
    tree = prepare_headers(kernel, cache_dir() / "headers", fetch_package, unpack_package)
    with RpmKey("centos") as key:
        home = merge_tree(tree, tmp_path / "tree", EL_RELEASE)
        packages = tmp_path / "mirror" / "centos" / "7" / "os" / "x86_64"
        version, _, release = EL_VERSION.partition("-")
        devel = Built("kernel-devel", version, release, tree=(f"/usr/src/kernels/{EL_RELEASE}", home))
        image = Built("kernel", version, release, files={f"/boot/vmlinuz-{EL_RELEASE}": "a kernel"})
        key.sign_rpms(build_rpms([image, devel], packages))
        make_repository(packages, key=key)
        table = tmp_path / "distros.toml"
        table.write_text(EL_TABLE.format(keyring=key.keyring, fingerprint=key.fingerprint))
        monkeypatch.setenv("KDRIVER_DISTROS", str(table))
        monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
        assert run(["images", "import", str(carried), "--as", "centos7"]) == ExitCode.DONE
        with FileServer(tmp_path / "mirror") as server:
            assert run(["index", "update", "--distro", "centos7", "--mirror", server.url]) == ExitCode.DONE
            capsys.readouterr()
            words = ["build", "--distro", "centos7", "--mirror", server.url, "--kind", "kmod", "--json"]
            assert run([*words, "--executor", "container"]) == ExitCode.DONE
    (found,) = results(capsys)
    assert (found["kernel"], found["outcome"]) == (f"centos/x86_64/{EL_RELEASE}/{EL_VERSION}", "built")
    assert read_module(Path(found["artifact"])).release == EL_RELEASE
    record = json.loads(Path(found["artifact"]).with_name("record.json").read_text())
    names = [one["name"] for one in record["inputs"]]
    assert "image centos7" in names and f"kernel-devel-{EL_RELEASE}.rpm" in names
    assert left_containers() == []
