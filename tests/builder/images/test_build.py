"""Images made by a real dockerd: a base from a registry, and CentOS 7's Dockerfile on a base that has its files and a
yum that only writes down what it was asked."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.images.base import BaseKind, BasePlan, import_root, make_base, plan_base
from builder.images.build import ImagePlan, build_image, list_images, remove_old_images
from builder.images.table import ImageSpec, image_specs
from kdriver.core.errors import BuildError
from kdriver.executors.engine import Engine, EngineError, find_engine
from kernel_index.table import load_table
from tests.fakes.engine import may_run, private_engine, tiny_root

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.skipif(bool(may_run()), reason=may_run())]
SPECS = {spec.name: spec for spec in image_specs(load_table())}
YUM = """#!/bin/sh
[ ! -e /yum-fails ] || { echo "Error: Unable to find a match: gcc" >&2; exit 1; }
echo "$*" >> /yum-calls
"""
REPOSITORY = """[base]
name=CentOS-$releasever - Base
mirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=os&infra=$infra
#baseurl=http://mirror.centos.org/centos/$releasever/os/$basearch/
gpgcheck=1
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """dockerd without any image."""
    with private_engine() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDRIVER_ENGINE", url)
        found = find_engine()
        assert found is not None
        yield found


def fake_centos(folder: Path, *, broken: bool = False) -> Path:
    """A root file system with what the Dockerfile of CentOS 7 touches."""
    tar = tiny_root(folder)
    files = {"usr/bin/yum": YUM, "etc/yum.repos.d/CentOS-Base.repo": REPOSITORY}
    if broken:
        files["yum-fails"] = ""
    with tarfile.open(tar, "a") as out:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o755
            out.addfile(member, io.BytesIO(text.encode()))
    return tar


def in_image(engine: Engine, image: str, *argv: str) -> str:
    """What a command prints in an image."""
    return bytes(engine.connect().containers.run(image, list(argv), remove=True, network_mode="none")).decode()


def test_centos_7_is_led_to_the_vault_and_asks_yum_for_its_packages(engine: Engine, tmp_path: Path) -> None:
    spec: ImageSpec = SPECS["centos7"]
    plan = ImagePlan(spec, plan_base(spec, str(fake_centos(tmp_path))))
    steps: list[str] = []
    made = build_image(plan, engine, log=tmp_path / "log", on_step=lambda name, step: steps.append(step))
    assert made.built and made.fresh
    assert steps[0].startswith("base: archive ") and steps[1] == "packages"
    lines = in_image(engine, made.id, "cat", "/etc/yum.repos.d/CentOS-Base.repo").splitlines()
    assert "baseurl=http://vault.centos.org/centos/$releasever/os/$basearch/" in lines
    assert lines[2].startswith("#mirrorlist=")
    calls = in_image(engine, made.id, "cat", "/yum-calls").splitlines()
    assert calls == [
        "-y --setopt=tsflags=nodocs --setopt=install_weak_deps=False install "
        "gcc make binutils elfutils-libelf findutils diffutils",
        "clean all",
    ]
    again = build_image(plan, engine, log=tmp_path / "log")
    assert (again.built, again.id, again.tag) == (False, made.id, made.tag)


def test_a_package_that_is_not_to_be_had_is_one_line_with_the_log(engine: Engine, tmp_path: Path) -> None:
    spec = SPECS["centos8"]
    plan = ImagePlan(spec, plan_base(spec, str(fake_centos(tmp_path, broken=True))))
    with pytest.raises(BuildError, match="image centos8: Error: Unable to find a match: gcc") as caught:
        build_image(plan, engine, log=tmp_path / "log")
    assert caught.value.hint == f"Read {tmp_path / 'log'}."
    assert "Unable to find a match" in (tmp_path / "log").read_text()
    assert "centos8" not in list_images(engine.connect(), tuple(SPECS.values()))


def test_what_is_no_longer_current_is_removed_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    spec = SPECS["centos7"]
    client = engine.connect()
    current = build_image(ImagePlan(spec, plan_base(spec, str(fake_centos(tmp_path)))), engine, log=tmp_path / "log")
    import_root(client, tiny_root(tmp_path), spec.repository, "older")
    import_root(client, tiny_root(tmp_path), "somebody/else", "1")
    removed = remove_old_images(client, (spec,))
    assert f"{spec.repository}:older" in removed
    assert current.reference not in removed
    tags = {str(tag) for image in client.images.list() for tag in image.tags}
    assert {current.reference, f"{spec.repository}:current", "somebody/else:1"} <= tags
    assert not any("base-" in tag for tag in tags)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on loopback; its address."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {tmp_path}/registry\n"
        f"http:\n  addr: 127.0.0.1:{port}\n"
    )
    with (tmp_path / "registry.log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        try:
            assert answers(f"http://127.0.0.1:{port}/v2/"), (tmp_path / "registry.log").read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def answers(url: str) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def test_base_comes_from_a_registry_and_counts_by_its_digest(engine: Engine, registry: str, tmp_path: Path) -> None:
    client = engine.connect()
    name = f"{registry}/library/centos"
    image = import_root(client, tiny_root(tmp_path), name, "7")
    pushed = client.images.push(name, tag="7")
    assert "digest: sha256:" in str(pushed), pushed
    client.images.remove(f"{name}:7", force=True)
    plan = BasePlan(BaseKind.REGISTRY, f"{name}:7")
    base = make_base(plan, SPECS["centos7"], client, engine, tmp_path / "log")
    assert base.image == f"{name}:7"
    assert base.digest.startswith("sha256:") and base.digest in str(pushed)
    assert str(client.images.get(base.image).id) == str(image.id)
    missing = BasePlan(BaseKind.REGISTRY, f"{name}:8")
    with pytest.raises(EngineError, match=f"image {name}:8: "):
        make_base(missing, SPECS["centos7"], client, engine, tmp_path / "log")
