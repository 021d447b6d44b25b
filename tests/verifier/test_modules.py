"""Modules of the guest's kernel come with what they need, in the order in which they must be inserted."""

from __future__ import annotations

import lzma
import subprocess
import tarfile
from pathlib import Path

import pytest

from kdriver.core.errors import NotFoundError
from kdriver.verifier.modules import unpack_modules
from tests.fakes.debs import write_deb

RELEASE = "1.2.3-tiny-amd64"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel with modules top -> middle-one, low; middle-one -> low; low -> builtin_one; and a ring of two."""
    folder = tmp_path_factory.mktemp("modules")
    depends = {
        "top": "middle_one,low",
        "middle-one": "low",
        "low": "builtin_one",
        "ring-a": "ring-b",
        "ring-b": "ring-a",
    }
    home = f"./lib/modules/{RELEASE}"
    members = [(f"{home}/modules.builtin", tarfile.REGTYPE, b"kernel/lib/builtin-one.ko\n")]
    for name, needed in depends.items():
        content = _module(folder, needed)
        if name == "low":
            members.append((f"{home}/kernel/{name}.ko.xz", tarfile.REGTYPE, lzma.compress(content)))
        else:
            members.append((f"{home}/kernel/{name}.ko", tarfile.REGTYPE, content))
    return write_deb(folder / "linux-image.deb", members)


def _module(folder: Path, depends: str) -> bytes:
    """An object file that says what it depends on."""
    source = f'static const char a[] __attribute__((section(".modinfo"), used)) = "depends={depends}";\n'
    argv = ["gcc", "-c", "-x", "c", "-o", str(folder / "m.o"), "-"]
    subprocess.run(argv, input=source.encode(), check=True, capture_output=True)
    return (folder / "m.o").read_bytes()


def test_what_a_module_needs_stands_before_it(package: Path, tmp_path: Path) -> None:
    found = unpack_modules([package], RELEASE, ["top"], tmp_path)
    assert [path.name for path in found] == ["low.ko", "middle-one.ko", "top.ko"]
    assert all(path.read_bytes().startswith(b"\x7fELF") for path in found)


def test_a_name_is_the_kernels_or_the_files(package: Path, tmp_path: Path) -> None:
    for name in ("middle-one", "middle_one"):
        assert [path.name for path in unpack_modules([package], RELEASE, [name], tmp_path)] == [
            "low.ko",
            "middle-one.ko",
        ]


def test_what_is_built_in_needs_no_module(package: Path, tmp_path: Path) -> None:
    assert unpack_modules([package], RELEASE, ["builtin-one"], tmp_path) == ()


def test_modules_that_need_each_other_end(package: Path, tmp_path: Path) -> None:
    assert {path.name for path in unpack_modules([package], RELEASE, ["ring-a"], tmp_path)} == {
        "ring-a.ko",
        "ring-b.ko",
    }


def test_a_module_that_is_not_there_is_named(package: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        unpack_modules([package], RELEASE, ["nothing"], tmp_path)
    assert caught.value.message == f"linux-image.deb: {RELEASE}: has no module nothing"
    assert caught.value.hint == "Name a module that this kernel has."


def test_modules_come_from_several_packages_and_folders(package: Path, tmp_path: Path) -> None:
    home = tmp_path / "root/lib/modules" / RELEASE
    home.mkdir(parents=True)
    (home / "other.ko").write_bytes(_module(tmp_path, "low"))
    for place in (tmp_path / "root", home):
        found = unpack_modules([package, place], RELEASE, ["other"], tmp_path / "into")
        assert [path.name for path in found] == ["low.ko", "other.ko"]


def test_a_compressed_module_of_a_folder_is_unpacked_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/low.ko.xz").write_bytes(lzma.compress(_module(tmp_path, "")))
    (found,) = unpack_modules([tmp_path / "mine"], RELEASE, ["low"], tmp_path / "into")
    assert found == tmp_path / "into/low.ko"
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["low.ko.xz"]
