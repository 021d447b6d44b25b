"""The instructions of an eBPF object: its functions and their sizes, and which instructions can be reached once the
questions that a program asks about its kernel are answered.

A program asks "does this field exist?" and goes one way or the other; the kernel's verifier knows the answer as a
number in an instruction and never looks at the way not taken. The same is done here, with no more than numbers in
registers and in stack slots: whatever else there is counts as unknown, and an unknown condition as taken both ways.

Source of the instruction set: Documentation/bpf/standardization/instruction-set.rst of Linux.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from kdriver.core.errors import IntegrityError

INSTRUCTION_BYTES = 8
_INSTRUCTION = struct.Struct("<BBhi")
_EXECUTABLE = 0x4
_MASK64 = (1 << 64) - 1
_MASK32 = (1 << 32) - 1
_LD, _LDX, _ST, _STX, _ALU, _JMP, _JMP32, _ALU64 = range(8)
_LDDW = 0x18
_CALL, _EXIT = 0x85, 0x95
_DOUBLE_WORD = 0x18
_FRAME = 10
_STACK = 16
"""Keys of a state: 0 to 10 are registers, from here down by bytes are stack slots."""
State = dict[int, int]
"""What is known: register or (_STACK - offset from the frame pointer) to its value as an unsigned 64-bit number."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function. start, size: in bytes, in its section. callees: the functions that it calls, as (section, start)."""

    name: str
    section: str
    start: int
    size: int
    is_program: bool
    callees: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """All executable sections, and the functions in them in file order."""

    sections: dict[str, bytes]
    functions: tuple[Function, ...]

    def instructions(self, function: Function) -> int:
        """How many the loaded program has: its own, and those of all that it calls, each once."""
        known = {(one.section, one.start): one for one in self.functions}
        seen: dict[tuple[str, int], int] = {}
        pending = [(function.section, function.start)]
        while pending:
            key = pending.pop()
            one = known.get(key)
            if one is not None and key not in seen:
                seen[key] = one.size // INSTRUCTION_BYTES
                pending += one.callees
        return sum(seen.values())


def read_code(path: Path) -> Code:
    """Read an eBPF object's functions. Raises IntegrityError when it is none, when a function or a relocation leaves
    its section, or when a section is no whole number of instructions."""
    try:
        elf = ELFFile(io.BytesIO(path.read_bytes()))
        return _read(elf, path.name)
    except (ELFError, struct.error, ValueError) as error:
        raise IntegrityError(f"{path.name}: is no eBPF object: {error or 'damaged ELF file'}") from error


def _read(elf: ELFFile, name: str) -> Code:
    symbols = next((one for one in elf.iter_sections() if isinstance(one, SymbolTableSection)), None)
    if symbols is None:
        raise IntegrityError(f"{name}: has no symbol table")
    table = list(symbols.iter_symbols())
    sections: dict[str, bytes] = {}
    by_index: dict[int, str] = {}
    targets: dict[tuple[str, int], tuple[str, int]] = {}
    for index, section in enumerate(elf.iter_sections()):
        if section["sh_type"] == "SHT_PROGBITS" and section["sh_flags"] & _EXECUTABLE and section["sh_size"]:
            content = bytes(section.data())
            if len(content) != section["sh_size"] or len(content) % INSTRUCTION_BYTES:
                raise IntegrityError(f"{name}: section {section.name} is cut short")
            sections[section.name], by_index[index] = content, section.name
    for section in elf.iter_sections():
        if section["sh_type"] in ("SHT_REL", "SHT_RELA") and section["sh_info"] in by_index:
            targets |= _call_targets(section, by_index[section["sh_info"]], sections, by_index, table, name)
    functions = []
    for symbol in table:
        home = by_index.get(symbol["st_shndx"]) if isinstance(symbol["st_shndx"], int) else None
        if symbol["st_info"]["type"] != "STT_FUNC" or home is None or not symbol["st_size"]:
            continue
        start, size = symbol["st_value"], symbol["st_size"]
        if start + size > len(sections[home]) or (start | size) % INSTRUCTION_BYTES:
            raise IntegrityError(f"{name}: function {symbol.name} leaves its section {home}")
        callees = tuple(
            target for (section, at), target in targets.items() if section == home and start <= at < start + size
        )
        is_program = home != ".text" and symbol["st_info"]["bind"] == "STB_GLOBAL"
        functions.append(Function(symbol.name, home, start, size, is_program, callees))
    return Code(sections, tuple(sorted(functions, key=lambda one: (one.section, one.start))))


def _call_targets(
    relocations: Any,
    section: str,
    sections: Mapping[str, bytes],
    by_index: Mapping[int, str],
    table: list[Any],
    name: str,
) -> dict[tuple[str, int], tuple[str, int]]:
    """Where calls of other functions of the object go: (section, offset of the call) to (section, offset)."""
    found = {}
    content = sections[section]
    for one in relocations.iter_relocations():
        at = one["r_offset"]
        if at + INSTRUCTION_BYTES > len(content) or one["r_info_sym"] >= len(table):
            raise IntegrityError(f"{name}: a relocation leaves section {section}")
        code, registers, _, immediate = _INSTRUCTION.unpack_from(content, at)
        symbol = table[one["r_info_sym"]]
        home = by_index.get(symbol["st_shndx"])
        if code == _CALL and registers >> 4 == 1 and home is not None:
            start = symbol["st_value"]
            if symbol["st_info"]["type"] == "STT_SECTION":
                start += (immediate + 1) * INSTRUCTION_BYTES
            found[section, at] = (home, start)
    return found


def reached(code: bytes, start: int, size: int, answers: Mapping[int, int], wanted: Iterable[int]) -> frozenset[int]:
    """Which of the wanted instructions of a function a verifier looks at. All offsets are bytes in the section.

    answers: offset of an instruction to the number that replaces its immediate. Registers are unknown at the start.
    """
    program = list(_INSTRUCTION.iter_unpack(code[start : start + size]))
    immediates = {(offset - start) // INSTRUCTION_BYTES: value for offset, value in answers.items()}
    leaders = _leaders(program)
    asked = {(offset - start) // INSTRUCTION_BYTES for offset in wanted}
    states: dict[int, State] = {0: {}}
    pending = [0]
    seen: set[int] = set()
    while pending:
        at = pending.pop()
        state = dict(states[at])
        entered = True
        while 0 <= at < len(program):
            if at in leaders and not entered:
                _join(at, state, states, pending)
                break
            entered = False
            if at in asked:
                seen.add(at)
            following = _step(program, at, state, immediates)
            if len(following) != 1:
                for target, known in following:
                    _join(target, known, states, pending)
                break
            target = following[0][0]
            if program[at][0] & 7 in (_JMP, _JMP32) and program[at][0] != _CALL:
                _join(target, state, states, pending)
                break
            at = target
    return frozenset(start + one * INSTRUCTION_BYTES for one in seen)


def _leaders(program: list[tuple[int, int, int, int]]) -> frozenset[int]:
    found = set()
    for at, (code, _, offset, immediate) in enumerate(program):
        if code & 7 in (_JMP, _JMP32) and code not in (_CALL, _EXIT):
            found.add(at + 1 + (immediate if code == 0x06 else offset))
            found.add(at + 1)
    return frozenset(found)


def _join(at: int, state: State, states: dict[int, State], pending: list[int]) -> None:
    """What is known at an instruction is what is known on every way to it."""
    before = states.get(at)
    if before is None:
        states[at] = dict(state)
        pending.append(at)
        return
    both = {key: value for key, value in before.items() if state.get(key) == value}
    if len(both) != len(before):
        states[at] = both
        pending.append(at)


def _step(
    program: list[tuple[int, int, int, int]], at: int, state: State, immediates: Mapping[int, int]
) -> list[tuple[int, State]]:
    """Carry one instruction out; where it goes on, with what is known there. Changes `state`."""
    code, registers, offset, immediate = program[at]
    immediate = immediates.get(at, immediate)
    kind, into, source = code & 7, registers & 15, registers >> 4
    if code == _LDDW:
        high = program[at + 1][3] if at + 1 < len(program) else 0
        value = (immediate & _MASK32 | (high & _MASK32) << 32) if not source else None
        _set(state, into, value)
        return [(at + 2, state)]
    if kind in (_ALU, _ALU64):
        _calculate(state, code, into, state.get(source) if code & 8 else immediate & _MASK64)
    elif kind == _LDX:
        whole = code & 0x18 == _DOUBLE_WORD and source == _FRAME
        _set(state, into, state.get(_STACK - offset) if whole else None)
    elif kind in (_ST, _STX) and into == _FRAME:
        slot = _STACK - (offset - offset % 8)
        whole = code & 0x18 == _DOUBLE_WORD and not offset % 8
        _set(state, slot, (immediate & _MASK64 if kind == _ST else state.get(source)) if whole else None)
    elif kind == _STX and code & 0xE0 == 0xC0:  # an atomic one may read into a register
        _set(state, source, None)
        _set(state, 0, None)
    elif kind == _LD:
        _set(state, 0, None)
    elif code == _EXIT:
        return []
    elif code == _CALL:
        for register in range(6):
            _set(state, register, None)
    elif kind in (_JMP, _JMP32):
        return _jump(code, at, state, into, state.get(source) if code & 8 else immediate & _MASK64, offset, immediate)
    return [(at + 1, state)]


def _jump(
    code: int, at: int, state: State, into: int, other: int | None, offset: int, immediate: int
) -> list[tuple[int, State]]:
    if code in (0x05, 0x06):
        return [(at + 1 + (immediate if code == 0x06 else offset), state)]
    taken, passed = at + 1 + offset, at + 1
    known = state.get(into)
    narrow = code & 7 == _JMP32
    if known is not None and other is not None:
        answer = _compare(code >> 4, known & _MASK32 if narrow else known, other & _MASK32 if narrow else other, narrow)
        if answer is not None:
            return [(taken if answer else passed, state)]
    ways = [(taken, dict(state)), (passed, dict(state))]
    if other is not None and not narrow and code >> 4 in (1, 5):  # equal on one of the ways
        ways[0 if code >> 4 == 1 else 1][1][into] = other
    return ways


def _compare(operation: int, one: int, other: int, narrow: bool) -> bool | None:
    signed = [value - ((value >> (31 if narrow else 63)) << (32 if narrow else 64)) for value in (one, other)]
    answers = {
        1: one == other,
        2: one > other,
        3: one >= other,
        4: bool(one & other),
        5: one != other,
        6: signed[0] > signed[1],
        7: signed[0] >= signed[1],
        10: one < other,
        11: one <= other,
        12: signed[0] < signed[1],
        13: signed[0] <= signed[1],
    }
    return answers.get(operation)


def _calculate(state: State, code: int, into: int, value: int | None) -> None:
    operation, wide = code >> 4, code & 7 == _ALU64
    known = state.get(into)
    mask = _MASK64 if wide else _MASK32
    result: int | None = None
    if operation == 11:
        result = value
    elif known is not None and value is not None:
        shift = value & (63 if wide else 31)
        known &= mask
        results = {0: known + value, 1: known - value, 4: known | value, 5: known & value, 10: known ^ value}
        results |= {6: known << shift, 7: known >> shift}
        result = results.get(operation)
    elif operation == 5 and value == 0:
        result = 0
    _set(state, into, None if result is None else result & mask)


def _set(state: State, key: int, value: int | None) -> None:
    if value is None:
        state.pop(key, None)
    else:
        state[key] = value
