"""A kernel that QEMU cannot start by PVH boots as bzImage: a real one, whose note is spoilt in a copy."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kdriver.inspect.vmlinux import extract_vmlinux, has_pvh_note
from kdriver.packages.kernel_files import is_kernel_image, unpack_package
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.guest import Ending, boot_guest
from kdriver.verifier.image import kernel_from_package
from kdriver.verifier.machine import MachinePlan
from kdriver.verifier.plan import GuestPlan, Limits
from tests.fakes.guest_tools import fake_tools

_LZ4_MAGIC = 0x184C2102
_PHYS32_ENTRY = 18


def _note_type(elf: bytes) -> int:
    """Where the type of Xen's PHYS32_ENTRY note stands in a kernel."""
    table: int
    at: int
    (table,) = struct.unpack_from("<Q", elf, 32)
    entry_bytes, count = struct.unpack_from("<HH", elf, 54)
    for index in range(count):
        kind, _, at, _, _, size = struct.unpack_from("<IIQQQQ", elf, table + entry_bytes * index)
        end = at + size
        while kind == 4 and at < end:
            name_bytes, desc_bytes, note = struct.unpack_from("<III", elf, at)
            if note == _PHYS32_ENTRY and elf[at + 12 : at + 16] == b"Xen\0":
                return at + 8
            at += 12 + (name_bytes + 3 & ~3) + (desc_bytes + 3 & ~3)
    raise AssertionError("the kernel has no PVH note")


def _length(payload: bytes, at: int, start: int) -> tuple[int, int]:
    length = start
    while start == 15:
        length += payload[at]
        at += 1
        if payload[at - 1] != 255:
            break
    return length, at


def _literal_of(payload: bytes, wanted: int) -> int:
    """Where a byte of the unpacked kernel stands in the LZ4 payload, in which it must be a literal."""
    out, at = 0, 4
    while at < len(payload) - 4:
        (size,) = struct.unpack_from("<I", payload, at)
        at += 4
        if size == _LZ4_MAGIC:
            continue
        end = at + size
        while at < end:
            token = payload[at]
            literals, at = _length(payload, at + 1, token >> 4)
            if out <= wanted < out + literals:
                return at + wanted - out
            at, out = at + literals, out + literals
            if at < end:
                matched, at = _length(payload, at + 2, token & 15)
                out += matched + 4
    raise AssertionError("the byte is no literal")


@pytest.fixture(scope="module")
def spoilt(cloud_package: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kernel's bzImage without the note; nothing else in it differs."""
    folder = tmp_path_factory.mktemp("bzimage")
    (name,) = unpack_package(cloud_package[0], folder, members=is_kernel_image, count=1)
    content = bytearray((folder / name).read_bytes())
    setup_bytes = (content[0x1F1] + 1) * 512
    offset, length = struct.unpack_from("<II", content, 0x248)
    start = setup_bytes + offset
    before = extract_vmlinux(folder / name, folder / "before").read_bytes()
    wanted = _note_type(before)
    content[start + _literal_of(bytes(content[start : start + length]), wanted)] ^= 0x40
    copy = folder / "vmlinuz"
    copy.write_bytes(content)
    after = extract_vmlinux(copy, folder / "after").read_bytes()
    assert [at for at in range(0, len(after), 4096) if after[at : at + 4096] != before[at : at + 4096]] == [
        wanted // 4096 * 4096
    ]
    assert not has_pvh_note(folder / "after")
    return copy


@pytest.mark.qemu
@pytest.mark.network
@pytest.mark.slow
def test_a_kernel_without_the_note_boots_as_bzimage(
    tmp_path: Path,
    spoilt: Path,
    cloud_package: tuple[Path, str],
    guest_programs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    kernel = kernel_from_package(spoilt, cloud_package[1])
    assert not kernel.pvh
    assert kernel.path.read_bytes() == spoilt.read_bytes()
    assert kernel.facts.btf is not None and kernel.facts.exports  # they come from the copy that is not kept
    machine = MachinePlan(find_qemu(), kernel.path, tmp_path / "initramfs", tmp_path / "console", tmp_path / "results")
    guest = boot_guest(
        GuestPlan(kernel, (), limits=Limits(boot_s=600, total_s=900)), fake_tools(guest_programs), machine
    )
    assert (guest.ending, guest.reason) == (Ending.COMPLETE, "")
    assert guest.result.release == cloud_package[1]
