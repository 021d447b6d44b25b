"""A batch takes out of the cache what it brought, once no kernel of it needs that, and nothing else."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from builder import tidy
from builder.headers import header_digest, header_packages
from builder.keep import build_running, used_by_others
from builder.tidy import Tidy
from kdriver.core.download import by_digest
from kdriver.core.kernel import Kernel, Package, PackageRole


def _package(role: PackageRole, name: str) -> Package:
    digest = name.encode().hex().ljust(64, "0")[:64]
    return Package(role, name, "1", "amd64", "main", f"pool/{name}.deb", 3, digest)


def _kernel(release: str) -> Kernel:
    packages = (
        _package(PackageRole.HEADERS, f"h-{release}"),
        _package(PackageRole.HEADERS_COMMON, "common"),
        _package(PackageRole.IMAGE, f"i-{release}"),
    )
    return Kernel("debian", "debian12", release, "1", "1", "x86_64", "amd64", packages)


def _bring(cache: Path, kernel: Kernel) -> list[Path]:
    """What a kernel's turn leaves: its tree, its packages and its unpacked image."""
    paths = [cache / "headers" / header_digest(header_packages(kernel))[:32]]
    paths += [by_digest(cache / "downloads", one.digest, one.file_name).parent for one in kernel.packages]
    image = kernel.package(PackageRole.IMAGE)
    assert image is not None
    paths.append(cache / "images" / image.sha256[:2] / image.sha256)
    for path in paths:
        path.mkdir(parents=True, exist_ok=True)
        (path / "file").write_bytes(b"x" * 100)
    return paths


def test_trees_go_soon_and_packages_when_they_are_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "TREES_KEPT", 1)
    kernels = [_kernel(name) for name in "abc"]
    batch = Tidy(tmp_path, kernels, share_bytes=450)
    brought = []
    for kernel in kernels:
        brought.append(_bring(tmp_path, kernel))
        batch.done(kernel.key)
    trees = [paths[0].exists() for paths in brought]
    assert trees == [False, False, True]
    # Two things of each kernel and the package that all share are seven: the first kernel's go, the last's stay.
    assert not brought[0][1].exists() and not brought[0][3].exists()
    assert all(path.exists() for path in brought[2][1:])


def test_what_another_kernel_still_needs_stays(tmp_path: Path) -> None:
    kernels = [_kernel("a"), _kernel("b")]
    batch = Tidy(tmp_path, kernels, share_bytes=0)
    paths = _bring(tmp_path, kernels[0])
    batch.done(kernels[0].key)
    common = paths[2]
    assert common.exists() and not paths[1].exists()
    batch.done(kernels[1].key)
    assert not common.exists()


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    kernel = _kernel("a")
    paths = _bring(tmp_path, kernel)
    Tidy(tmp_path, [kernel], share_bytes=0).done(kernel.key)
    assert all(path.exists() for path in paths)


def test_nothing_goes_when_it_is_asked_to_stay(tmp_path: Path) -> None:
    kernel = _kernel("a")
    batch = Tidy(tmp_path, [kernel], keep=True, share_bytes=0)
    paths = _bring(tmp_path, kernel)
    batch.done(kernel.key)
    assert all(path.exists() for path in paths)


def test_nothing_goes_while_another_build_runs(tmp_path: Path) -> None:
    kernel = _kernel("a")
    batch = Tidy(tmp_path, [kernel], share_bytes=0)
    paths = _bring(tmp_path, kernel)
    with build_running(tmp_path):  # this process's own does not count
        (mine,) = (tmp_path / "running").iterdir()
        assert mine.name.startswith(f"build-{os.getpid()}-")
        child = os.fork()
        if not child:
            with build_running(tmp_path):
                batch.done(kernel.key)
                os._exit(0 if not paths[1].exists() else 1)
        # In the child the parent's build is another one.
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        batch.done(kernel.key)
    assert not any(path.exists() for path in paths[1:])


def test_what_somebody_used_since_it_went_idle_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "TREES_KEPT", 1)
    kernels = [_kernel("a"), _kernel("b")]
    batch = Tidy(tmp_path, kernels, share_bytes=10**9)
    tree = _bring(tmp_path, kernels[0])[0]
    batch.done(kernels[0].key)
    os.utime(tree, (1, 1))
    _bring(tmp_path, kernels[1])
    batch.done(kernels[1].key)
    assert tree.exists()


def test_process_of_the_same_number_in_another_container_is_another(tmp_path: Path) -> None:
    with build_running(tmp_path):
        assert not used_by_others(tmp_path)
        file = tmp_path / "running" / f"build-{os.getpid()}-other"
        with file.open("w") as other:
            fcntl.flock(other, fcntl.LOCK_SH)
            assert used_by_others(tmp_path)
        assert not used_by_others(tmp_path) and not file.exists(), "it was killed"
