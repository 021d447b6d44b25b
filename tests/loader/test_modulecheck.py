"""Whether a module fits a kernel is known before the kernel is asked."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from kdriver.core.errors import ExitCode, IntegrityError, LoadError
from kdriver.loader.modulecheck import check_module
from tests.fakes.module_file import module_file

RELEASE = "6.1.0-56-amd64"
FLAGS = "SMP preempt mod_unload modversions"


def host_module(root: Path, name: str, *, crcs: dict[str, int] | None = None, flags: str = FLAGS) -> None:
    path = root / f"lib/modules/{RELEASE}/kernel/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = module_file(vermagic=f"{RELEASE} {flags} ", versions=crcs)
    path.write_bytes(lzma.compress(content) if name.endswith(".xz") else content)


def ours(tmp_path: Path, **facts: object) -> Path:
    path = tmp_path / "kdriver.ko"
    path.write_bytes(module_file(**facts))  # type: ignore[arg-type]
    return path


def test_a_module_of_this_kernel_fits(tmp_path: Path) -> None:
    host_module(tmp_path, "fs/ext4.ko")
    assert check_module(ours(tmp_path), RELEASE, tmp_path) == (
        f"vermagic: {RELEASE} {FLAGS} (flags as this kernel's modules)",
        "symbol CRCs: 2 of 2 agree (1 modules of this kernel)",
    )


def test_compressed_modules_are_evidence_too(tmp_path: Path) -> None:
    host_module(tmp_path, "fs/ext4.ko.xz")
    assert "2 of 2 agree" in check_module(ours(tmp_path), RELEASE, tmp_path)[1]


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    lines = check_module(ours(tmp_path), RELEASE, tmp_path)
    assert lines[0].endswith("(flags not compared)")
    assert lines[1].startswith("symbol CRCs: 0 of 2 agree")
    assert lines[1].endswith("has no modules to compare with)")


def test_another_release_is_refused_before_the_kernel_is_asked(tmp_path: Path) -> None:
    path = ours(tmp_path, vermagic=f"6.1.0-50-amd64 {FLAGS} ")
    with pytest.raises(LoadError) as caught:
        check_module(path, RELEASE, tmp_path)
    assert caught.value.message == f"kdriver.ko: was built for 6.1.0-50-amd64; this host runs {RELEASE}"
    assert caught.value.exit_code is ExitCode.LOAD
    assert caught.value.hint and "this very kernel build" in caught.value.hint


def test_a_shared_module_of_another_release_fits_when_every_crc_agrees(tmp_path: Path) -> None:
    host_module(tmp_path, "fs/ext4.ko")
    lines = check_module(ours(tmp_path, vermagic=f"6.1.0-50-amd64 {FLAGS} "), RELEASE, tmp_path)
    assert lines[0] == f"vermagic: built for 6.1.0-50-amd64, every symbol CRC agrees with {RELEASE}"


def test_other_flags_are_refused(tmp_path: Path) -> None:
    host_module(tmp_path, "fs/ext4.ko", flags="SMP preempt_rt mod_unload modversions")
    with pytest.raises(LoadError, match="its vermagic flags are `SMP preempt mod_unload modversions`, this kernel's"):
        check_module(ours(tmp_path), RELEASE, tmp_path)


def test_another_crc_is_refused(tmp_path: Path) -> None:
    host_module(tmp_path, "fs/ext4.ko", crcs={"module_layout": 0x99})
    with pytest.raises(LoadError, match="module_layout: the module needs CRC 0x11111111, the kernel has 0x00000099"):
        check_module(ours(tmp_path), RELEASE, tmp_path)


@pytest.mark.parametrize("place", [f"lib/modules/{RELEASE}/symvers.gz", f"boot/symvers-{RELEASE}.gz"])
def test_a_symvers_file_is_complete_evidence(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        "0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n0x22222222\tregister_thing\tvmlinux\tEXPORT_SYMBOL\t\n"
    )
    path.write_bytes(gzip.compress(lines.encode()))
    assert check_module(ours(tmp_path), RELEASE, tmp_path)[1] == f"symbol CRCs: 2 of 2 agree ({path})"
    path.write_bytes(gzip.compress(lines.splitlines(keepends=True)[0].encode()))
    with pytest.raises(LoadError, match="register_thing is not exported"):
        check_module(ours(tmp_path), RELEASE, tmp_path)


def test_modules_of_others_are_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / f"lib/modules/{RELEASE}/updates/dkms/other.ko"
    path.parent.mkdir(parents=True)
    path.write_bytes(module_file(versions={"module_layout": 0x99}))
    assert "0 of 2 agree" in check_module(ours(tmp_path), RELEASE, tmp_path)[1]


def test_a_file_that_is_no_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kdriver.ko"
    path.write_bytes(b"no ELF file")
    with pytest.raises(IntegrityError, match=r"kdriver\.ko: is no kernel module"):
        check_module(path, RELEASE, tmp_path)


def test_a_kernel_without_crcs_needs_none(tmp_path: Path) -> None:
    lines = check_module(ours(tmp_path, versions={}), RELEASE, tmp_path)
    assert lines[1] == "symbol CRCs: the module carries none (the kernel was built without CONFIG_MODVERSIONS)"
