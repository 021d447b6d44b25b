"""Module.symvers: the symbols that a kernel exports, each with the CRC of its type.

Source of the format: scripts/mod/modpost.c (write_dump): tab-separated CRC, symbol, file, export type[, namespace].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdriver.core.errors import IntegrityError
from kdriver.inspect.elf import ModuleFacts


@dataclass(frozen=True, slots=True)
class SymbolMismatch:
    """A symbol that a module needs and a kernel lacks, or exports with another CRC.

    needed: the CRC in the module, None when it has none. exported: the kernel's, None when it does not export it.
    """

    symbol: str
    needed: int | None
    exported: int | None

    def __str__(self) -> str:
        if self.exported is None:
            return f"{self.symbol} is not exported"
        if self.needed is None:
            return f"{self.symbol} has no CRC in the module"
        return f"{self.symbol} has CRC {self.needed:#010x} in the module and {self.exported:#010x} in the kernel"


def parse_symvers(text: str, name: str = "Module.symvers") -> dict[str, int]:
    """Symbol to CRC; a CRC of zero stands for none. Raises IntegrityError naming the first line of another shape."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line:
            continue
        fields = line.split("\t")
        try:
            found[fields[1]] = int(fields[0], 16)
        except (IndexError, ValueError) as error:
            raise IntegrityError(f"{name}: line {number} is not `CRC<tab>symbol<tab>...`") from error
    return found


def read_symvers(path: Path) -> dict[str, int]:
    """Read a Module.symvers file; see parse_symvers."""
    return parse_symvers(path.read_text(), path.name)


def compare_symbols(module: ModuleFacts, exported: dict[str, int]) -> tuple[SymbolMismatch, ...]:
    """What keeps a kernel from loading a module, sorted by symbol; empty when every needed symbol fits.

    A module without any CRC is of a kernel without CONFIG_MODVERSIONS: then only the names are compared.
    """
    wrong = []
    for symbol in sorted({*module.undefined, *module.versions}):
        crc = exported.get(symbol)
        needed = module.versions.get(symbol)
        if symbol == "module_layout" and crc is None and not module.versions:
            continue
        if crc is None or (module.versions and crc != needed):
            wrong.append(SymbolMismatch(symbol, needed, crc))
    return tuple(wrong)
