"""The bootable kernel comes out of the image package, once for each package."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.verifier.image import kernel_from_package, named_image
from tests.fakes.debs import write_deb
from tests.fakes.kernel_images import BANNER, bzimage, vmlinux
from tests.fakes.rpms import Built, build_rpms

RELEASE = "1.2.3-tiny-amd64"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))


def _package(tmp_path: Path, image: bytes, name: str = f"./boot/vmlinuz-{RELEASE}") -> Path:
    members = [(name, tarfile.REGTYPE, image), ("./lib/modules/x.ko", tarfile.REGTYPE, b"module")]
    return write_deb(tmp_path / "linux-image.deb", members)


def test_a_kernel_with_a_pvh_note_is_kept_uncompressed(tmp_path: Path) -> None:
    elf = vmlinux(pvh=True)
    kernel = kernel_from_package(_package(tmp_path, bzimage(payload=gzip.compress(elf))), RELEASE)
    assert (kernel.pvh, kernel.release) == (True, RELEASE)
    assert kernel.path.read_bytes() == elf
    assert sorted(path.name for path in kernel.path.parent.iterdir()) == ["facts.json", "vmlinux"]


def test_a_kernel_without_a_pvh_note_stays_compressed(tmp_path: Path) -> None:
    image = bzimage(payload=gzip.compress(vmlinux(pvh=False)))
    kernel = kernel_from_package(_package(tmp_path, image), RELEASE)
    assert not kernel.pvh
    assert kernel.path.read_bytes() == image
    assert sorted(path.name for path in kernel.path.parent.iterdir()) == ["bzImage", "facts.json"]


def test_a_compression_that_is_unknown_is_left_to_the_kernel(tmp_path: Path) -> None:
    image = bzimage(payload=b"what is this compression?")
    assert kernel_from_package(_package(tmp_path, image), RELEASE).path.read_bytes() == image


def test_a_package_is_unpacked_once(tmp_path: Path) -> None:
    package = _package(tmp_path, bzimage())
    first = kernel_from_package(package, RELEASE)
    before = first.path.stat().st_ino
    assert kernel_from_package(package, RELEASE) == first
    assert first.path.stat().st_ino == before
    assert not [path for path in first.path.parent.parent.iterdir() if path.name.startswith(".")]


def test_a_kernel_beside_the_modules_is_found(tmp_path: Path) -> None:
    image = bzimage()
    package = _package(tmp_path, image, f"./usr/lib/modules/{RELEASE}/vmlinuz")
    assert kernel_from_package(package, RELEASE).pvh


def test_a_package_of_another_release_is_refused(tmp_path: Path) -> None:
    package = _package(tmp_path, bzimage(payload=b""), "./boot/vmlinuz-9.9.9")
    with pytest.raises(NotFoundError) as caught:
        kernel_from_package(package, RELEASE)
    assert caught.value.message.startswith(f"linux-image.deb: {RELEASE}: no kernel in the unpacked package")
    assert caught.value.exit_code == 3


def test_a_damaged_package_is_an_integrity_error(tmp_path: Path) -> None:
    package = _package(tmp_path, bzimage())
    package.write_bytes(package.read_bytes()[:-200])
    with pytest.raises(IntegrityError) as caught:
        kernel_from_package(package, RELEASE)
    assert caught.value.exit_code == 6
    assert not list((tmp_path / "cache" / "images").glob("*/*/*"))


def test_something_that_is_no_kernel_is_refused(tmp_path: Path) -> None:
    package = _package(tmp_path, b"not a kernel at all")
    with pytest.raises(IntegrityError, match="is no bzImage"):
        kernel_from_package(package, RELEASE)


def test_a_file_that_is_no_package_and_no_kernel_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "kernel.rpm"
    package.write_bytes(b"rpm")
    with pytest.raises(IntegrityError, match=r"kernel.rpm: is no bzImage|image: is no bzImage"):
        kernel_from_package(package, RELEASE)


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild (package rpm) is not installed")
@pytest.mark.parametrize("place", ["/boot/vmlinuz-{}", "/lib/modules/{}/vmlinuz"], ids=["el7", "el8"])
def test_a_kernel_of_an_rpm_is_found(tmp_path: Path, place: str) -> None:
    # rpmbuild writes texts, so the kernel of this package is one that nothing can start.
    files = {place.format(RELEASE): "text", f"/lib/modules/{RELEASE}/kernel/x.ko": "module"}
    (rpm,) = build_rpms([Built("kernel-core", "1.2.3", "1", files=files)], tmp_path)
    with pytest.raises(IntegrityError, match=f"vmlinuz(-{RELEASE})?: is no bzImage"):
        kernel_from_package(rpm, RELEASE)
    assert named_image(rpm).path == rpm


def test_an_image_says_who_it_is(tmp_path: Path) -> None:
    for name, content in (("a", vmlinux(RELEASE)), ("b", bzimage(RELEASE))):
        (tmp_path / name).write_bytes(content)
        image = named_image(tmp_path / name)
        assert (image.release, image.version) == (RELEASE, BANNER)
    package = _package(tmp_path, bzimage(RELEASE))
    assert named_image(package).release == RELEASE
    (tmp_path / "c").write_bytes(bzimage())
    assert named_image(tmp_path / "c").release == ""


def test_a_folder_s_kernel_is_found_where_distributions_and_kbuild_put_it(tmp_path: Path) -> None:
    for place in (f"boot/vmlinuz-{RELEASE}", "arch/x86/boot/bzImage", f"lib/modules/{RELEASE}/vmlinuz"):
        folder = tmp_path / place.replace("/", "_")
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_bytes(bzimage(RELEASE))
        assert named_image(folder).path == folder / place


def test_a_folder_of_several_kernels_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no kernel is in the folder"):
        named_image(tmp_path)
    for name in ("vmlinuz-1", "vmlinuz-2"):
        (tmp_path / name).write_bytes(bzimage(name))
    with pytest.raises(ConfigError, match="holds several kernels: vmlinuz-1, vmlinuz-2"):
        named_image(tmp_path)


def test_a_package_without_a_kernel_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no kernel is in the package"):
        named_image(_package(tmp_path, b"", "./boot/config-1"))


def test_a_named_file_may_be_either_form(tmp_path: Path) -> None:
    for name, content in (("a", vmlinux(pvh=True)), ("b", bzimage())):
        (tmp_path / name).write_bytes(content)
        assert kernel_from_package(tmp_path / name, RELEASE).path.read_bytes() == vmlinux(pvh=True)


def test_an_uncompressed_kernel_that_qemu_cannot_start_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(vmlinux(pvh=False))
    with pytest.raises(IntegrityError) as caught:
        kernel_from_package(tmp_path / "vmlinux", RELEASE)
    assert "without a PVH note" in caught.value.message
    assert caught.value.hint == "Name the compressed kernel (bzImage) instead."


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such kernel image"):
        kernel_from_package(tmp_path / "nothing", RELEASE)
