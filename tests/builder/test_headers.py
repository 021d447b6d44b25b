"""Headers are unpacked once, whole or not at all, with nothing that leads out of the tree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.failure import StepError
from builder.headers import header_digest, header_packages, is_wanted, mend_makefile, prepare_headers
from kdriver.core.errors import IntegrityError
from kdriver.core.kernel import Kernel, Package, PackageRole
from kdriver.packages.deb import unpack_deb
from tests.fakes.tiny_kernel import TinyKernel


class Mirror:
    """Gives packages from a folder and counts them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []

    def fetch(self, kernel: Kernel, package: Package) -> Path:
        self.fetched.append(package.name)
        return self.folder / "debian" / package.path


def unpack(package: Path, into: Path, members: Callable[[str], bool]) -> None:
    unpack_deb(package, into, members=members)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "mirror")


@pytest.fixture
def kernel(mirror: Mirror) -> Kernel:
    return TinyKernel().packages(mirror.folder)


def test_tree_holds_what_a_build_needs_and_its_facts(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    tree = prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    assert tree.build_dir.name == f"linux-headers-{kernel.release}"
    assert tree.source_dir.name == f"linux-headers-{kernel.release}-common"
    assert (tree.build_dir / "scripts/mod/modpost").is_file(), "the link to the kbuild package leads there"
    assert tree.evidence.release == kernel.release
    assert tree.evidence.glibc_tool == "scripts/mod/modpost"
    assert [one.sha256 for one in tree.inputs] == [package.sha256 for package in kernel.packages]


def test_absolute_paths_are_led_into_the_tree(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    tree = prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    assert (tree.build_dir / "Makefile").read_text() == f"include {tree.source_dir}/Makefile\n"
    assert not (tree.root / "lib").exists()
    out = [path for path in tree.root.rglob("*") if not path.resolve().is_relative_to(tree.root.resolve())]
    assert not out


def test_second_time_nothing_is_fetched_or_unpacked(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    first = prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    mirror.fetched.clear()
    assert prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack) == first
    assert not mirror.fetched


def test_moved_cache_is_unpacked_anew(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    (tmp_path / "headers").rename(tmp_path / "elsewhere")
    tree = prepare_headers(kernel, tmp_path / "elsewhere", mirror.fetch, unpack)
    assert str(tmp_path / "elsewhere") in (tree.build_dir / "Makefile").read_text()


def test_failed_unpacking_leaves_no_tree(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    last = mirror.folder / "debian" / kernel.packages[-1].path
    last.write_bytes(last.read_bytes()[:-200])
    with pytest.raises(IntegrityError):
        prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    assert [path.name for path in (tmp_path / "headers").iterdir() if path.is_dir()] == []


def test_closure_without_its_common_headers_is_refused(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    lacking = replace(
        kernel, packages=tuple(one for one in kernel.packages if one.role is not PackageRole.HEADERS_COMMON)
    )
    with pytest.raises(
        StepError, match=r"headers: exactly one folder .* should hold include/linux/kernel.h, found none"
    ):
        prepare_headers(lacking, tmp_path / "headers", mirror.fetch, unpack)


def test_headers_of_another_kernel_are_refused(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    other = replace(kernel, release="1.2.9-tiny-amd64")
    with pytest.raises(StepError, match=f"the headers are of {kernel.release}"):
        prepare_headers(other, tmp_path / "headers", mirror.fetch, unpack)


def test_kernel_without_header_packages_has_no_closure(kernel: Kernel) -> None:
    images = tuple(replace(package, role=PackageRole.IMAGE) for package in kernel.packages)
    assert header_packages(replace(kernel, packages=images)) == ()
    assert [one.role for one in header_packages(kernel)] == [
        PackageRole.HEADERS,
        PackageRole.HEADERS_COMMON,
        PackageRole.KBUILD,
    ]


def test_digest_changes_with_any_package_and_not_with_their_order(kernel: Kernel) -> None:
    first = header_digest(kernel.packages)
    assert header_digest(tuple(reversed(kernel.packages))) == first
    changed = (replace(kernel.packages[0], sha256="0" * 64), *kernel.packages[1:])
    assert header_digest(changed) != first


@pytest.mark.parametrize(
    ("member", "wanted"),
    [
        ("usr/src/linux-headers-6.1.0-56-common/arch/x86/include/asm/io.h", True),
        ("usr/src/linux-headers-6.1.0-56-common/arch/arm64/include/asm/io.h", False),
        ("usr/src/linux-headers-6.1.0-56-common/include/linux/arch/x.h", True),
        ("usr/src/kernels/3.10.0-957.el7.x86_64/arch/x86/Makefile", True),
        ("usr/src/kernels/3.10.0-957.el7.x86_64/arch/powerpc/Makefile", False),
        ("usr/src/kernels/3.10.0-957.el7.x86_64/arch/Kconfig", False),
        ("usr/src/kernels/3.10.0-957.el7.x86_64/Makefile", True),
        ("usr/lib/linux-kbuild-6.1/scripts/mod/modpost", True),
        ("usr/share/doc/linux-kbuild-6.1/copyright", False),
        ("lib/modules/6.1.0-56-amd64/build", False),
        ("usr/lib/modules/7.3-amd64/build", False),
    ],
)
def test_only_what_a_build_can_need_is_unpacked(member: str, wanted: bool) -> None:
    assert is_wanted(member, ("x86",)) is wanted


def test_makefiles_paths_are_mended_only_where_they_are_absolute() -> None:
    lines = {
        "include /usr/src/a/Makefile": "include /t/usr/src/a/Makefile",
        "KBUILD_OUTPUT=/usr/src/b": "KBUILD_OUTPUT=/t/usr/src/b",
        "x := ../usr/src/c": "x := ../usr/src/c",
        "y := /usr/lib/linux-kbuild-6.1/z": "y := /t/usr/lib/linux-kbuild-6.1/z",
    }
    assert mend_makefile("\n".join(lines), Path("/t")) == "\n".join(lines.values())


def test_damaged_tree_is_replaced(kernel: Kernel, mirror: Mirror, tmp_path: Path) -> None:
    tree = prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    (tree.root.parent / "facts.json").write_text("{")
    shutil.rmtree(tree.source_dir)
    again = prepare_headers(kernel, tmp_path / "headers", mirror.fetch, unpack)
    assert (again.source_dir / "Makefile").is_file()
