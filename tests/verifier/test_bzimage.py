"""A kernel that QEMU cannot start by PVH boots as bzImage: a real one, whose note is spoilt in a copy."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
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


def _note(elf: bytes) -> int:
    """Where Xen's PHYS32_ENTRY note stands in a kernel."""
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
                return at
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


def _match_of(payload: bytes, wanted: int) -> tuple[int, int, int]:
    """The LZ4 match that copies a byte of the unpacked kernel: where what it writes begins and how long that is, and
    where in the payload it says how far back to copy from."""
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
            at, out = at + literals, out + literals
            if at < end:
                distance_at = at
                matched, at = _length(payload, at + 2, token & 15)
                matched += 4
                if out <= wanted < out + matched:
                    return out, matched, distance_at
                out += matched
    raise AssertionError("the byte is no part of a match")


def _distances(elf: bytes, start: int, size: int, note: int) -> Iterator[int]:
    """How far back the match could copy from so that it writes another name and else the same."""
    name = range(note + 12, note + 15)
    for distance in range(size, 65536):
        source = start - distance
        there = [elf[source + at - start] == elf[at] for at in range(start, start + size) if at not in name]
        if all(there) and elf[source + note + 12 - start : source + note + 15 - start] != b"Xen":
            yield distance


@pytest.fixture(scope="module")
def spoilt(cloud_package: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kernel's bzImage in which the note has another name; nothing else of the kernel differs."""
    folder = tmp_path_factory.mktemp("bzimage")
    (name,) = unpack_package(cloud_package[0], folder, members=is_kernel_image, count=1)
    content = bytearray((folder / name).read_bytes())
    offset, length = struct.unpack_from("<II", content, 0x248)
    payload_at = (content[0x1F1] + 1) * 512 + offset
    before = extract_vmlinux(folder / name, folder / "before").read_bytes()
    note = _note(before)
    start, size, distance_at = _match_of(bytes(content[payload_at : payload_at + length]), note + 12)
    copy = folder / "vmlinuz"
    for distance in islice(_distances(before, start, size, note), 20):
        struct.pack_into("<H", content, payload_at + distance_at, distance)
        copy.write_bytes(content)
        after = extract_vmlinux(copy, folder / "after").read_bytes()
        # What the match wrote may have been copied further; then another distance must do.
        if before[:note] == after[:note] and before[note + 16 :] == after[note + 16 :]:
            assert not has_pvh_note(folder / "after")
            return copy
    raise AssertionError("no copy differs in the note alone")


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
