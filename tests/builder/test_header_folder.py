"""Folders of headers stand for packages: build trees, installed headers, unpacked packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.header_folder import copy_tree, digest_tree, is_for_building, tree_files
from kdriver.core.errors import ConfigError

RELEASE = "4.14.9"


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _build_tree(folder: Path) -> Path:
    """A kernel's source that was built where it is."""
    _write(
        folder,
        **{
            "Makefile": "VERSION = 4\n",
            ".config": "CONFIG_MODULES=y\n",
            "Module.symvers": "",
            "vmlinux": "large",
            "include/linux/kernel.h": "",
            "include/generated/utsrelease.h": f'#define UTS_RELEASE "{RELEASE}"\n',
            "scripts/mod/modpost": "program",
            "scripts/mod/modpost.o": "object",
            "arch/x86/Makefile": "",
            "arch/x86/include/asm/io.h": "",
            "arch/x86/kernel/cpu.c": "",
            "arch/arm/include/asm/io.h": "",
            "drivers/net/veth.c": "",
            "drivers/Makefile": "",
            ".git/config": "",
        },
    )
    (folder / "scripts/mod/modpost").chmod(0o755)
    (folder / "source").symlink_to(folder)
    return folder


def _names(folder: Path) -> set[str]:
    return {file.name for file in tree_files(folder)}


def test_of_a_build_tree_only_what_a_module_needs_is_taken(tmp_path: Path) -> None:
    names = _names(_build_tree(tmp_path / "linux"))
    assert names == {
        f"usr/src/linux/{name}"
        for name in (
            "Makefile",
            ".config",
            "Module.symvers",
            "include/linux/kernel.h",
            "include/generated/utsrelease.h",
            "scripts/mod/modpost",
            "arch/x86/Makefile",
            "arch/x86/include/asm/io.h",
            "drivers/Makefile",
        )
    }


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Module.symvers", True),
        ("vmlinux.o", False),
        ("scripts/module.lds", True),
        ("scripts/mod/.modpost.o.cmd", False),
        ("tools/objtool/objtool", True),
        ("tools/perf/Makefile", False),
        ("arch/x86/entry/syscalls/syscall_64.tbl", True),
        ("arch/x86/entry/entry_64.S", False),
        ("fs/ext4/Kconfig", True),
        ("fs/ext4/ext4.h", False),
    ],
)
def test_what_a_build_can_need(name: str, wanted: bool) -> None:
    assert is_for_building(name) is wanted


def test_a_tree_built_in_a_folder_of_its_own_brings_its_source(tmp_path: Path) -> None:
    source, build = tmp_path / "linux", tmp_path / "out" / "build"
    _write(source, **{"Makefile": "top\n", "include/linux/kernel.h": "", "scripts/gcc-goto.sh": ""})
    _write(
        build,
        **{
            "Makefile": f"MAKEARGS := -C {source}\nMAKEARGS += O={build}\n",
            "include/generated/utsrelease.h": f'#define UTS_RELEASE "{RELEASE}"\n',
        },
    )
    (build / "source").symlink_to(source)
    copy_tree(build, tmp_path / "into")
    assert (tmp_path / "into/usr/src/linux/include/linux/kernel.h").is_file()
    assert (tmp_path / "into/usr/src/build/Makefile").read_text() == (
        "MAKEARGS := -C /usr/src/linux\nMAKEARGS += O=/usr/src/build\n"
    )


def test_debians_common_headers_are_found_beside_the_folder(tmp_path: Path) -> None:
    common, arch = tmp_path / "linux-headers-6.1-common", tmp_path / "linux-headers-6.1-amd64"
    _write(common, **{"Makefile": "top\n", "include/linux/kernel.h": ""})
    _write(
        arch,
        **{
            "Makefile": "include /usr/src/linux-headers-6.1-common/Makefile\n",
            "include/generated/utsrelease.h": f'#define UTS_RELEASE "{RELEASE}"\n',
        },
    )
    _write(tmp_path / "linux-kbuild-6.1", **{"scripts/mod/modpost": "program"})
    (arch / "scripts").symlink_to("../linux-kbuild-6.1/scripts")
    copy_tree(arch, tmp_path / "into")
    into = tmp_path / "into/usr/src"
    assert (into / "linux-headers-6.1-common/include/linux/kernel.h").is_file()
    assert (into / "linux-headers-6.1-amd64/scripts/mod/modpost").read_text() == "program"
    assert (into / "linux-headers-6.1-amd64/Makefile").read_text() == (arch / "Makefile").read_text()


def test_links_inside_stay_links_and_links_that_go_round_end(tmp_path: Path) -> None:
    tree = _build_tree(tmp_path / "linux")
    (tree / "include/asm").symlink_to("../arch/x86/include/asm")
    (tree / "include/loop").symlink_to(tree)
    copy_tree(tree, tmp_path / "into")
    link = tmp_path / "into/usr/src/linux/include/asm"
    assert link.is_symlink() and (link / "io.h").is_file()
    assert not (tmp_path / "into/usr/src/linux/include/loop").exists()


def test_programs_stay_programs(tmp_path: Path) -> None:
    copy_tree(_build_tree(tmp_path / "linux"), tmp_path / "into")
    assert (tmp_path / "into/usr/src/linux/scripts/mod/modpost").stat().st_mode & 0o111
    assert not (tmp_path / "into/usr/src/linux/Makefile").stat().st_mode & 0o111


def test_an_unpacked_package_is_taken_as_it_is(tmp_path: Path) -> None:
    _build_tree(tmp_path / "root/usr/src/kernels/4.14.9")
    _write(tmp_path / "root", **{"usr/share/doc/x": "", "usr/lib/linux-kbuild-4.14/scripts/x": ""})
    names = _names(tmp_path / "root")
    assert "usr/src/kernels/4.14.9/Makefile" in names
    assert "usr/lib/linux-kbuild-4.14/scripts/x" in names
    assert not [name for name in names if "share" in name]


def test_the_digest_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    one, other = _build_tree(tmp_path / "a/linux"), _build_tree(tmp_path / "b/linux")
    before = digest_tree(one)
    assert before == digest_tree(other)
    (other / "vmlinux").write_text("another")
    assert digest_tree(other) == before
    for change in ("include/linux/kernel.h", "Module.symvers", ".config"):
        (other / change).write_text("changed\n")
        assert digest_tree(other)[0] != before[0]
        before = digest_tree(other)


def test_a_source_that_was_never_prepared_is_refused_with_a_hint(tmp_path: Path) -> None:
    tree = _build_tree(tmp_path / "linux")
    (tree / "include/generated/utsrelease.h").unlink()
    with pytest.raises(ConfigError) as caught:
        digest_tree(tree)
    assert "has no include/generated/utsrelease.h" in caught.value.message
    assert caught.value.hint is not None and "make modules_prepare" in caught.value.hint
    (tree / "include/linux/kernel.h").unlink()
    with pytest.raises(ConfigError, match=r"has no include/linux/kernel\.h"):
        digest_tree(tree)
