"""Programs that stand in for QEMU: shell scripts that find the files of the two serial ports in their arguments."""

from __future__ import annotations

import shutil
from pathlib import Path

_HEAD = f"""#!{shutil.which("bash")}
# Finds the paths behind the two serial ports, as kdriver.verifier.machine gives them.
if [ "$1" = --version ]; then echo "QEMU emulator version 9.9.9 (made up)"; exit 0; fi
console=/dev/null results=/dev/null
for word in "$@"; do
    case "$word" in
        file,id=console,path=*) console="${{word#*path=}}" ;;
        file,id=results,path=*) results="${{word#*path=}}" ;;
    esac
done
say() {{ printf '%s\\n' "$1" >>"$results"; }}
"""

HELLO = """say '{"hello":1,"release":"1.2.3-toy","version":"#1 toy"}'"""


def write_qemu(folder: Path, body: str, name: str = "qemu-fake") -> str:
    """An executable of that behaviour; its path. `say LINE` writes to the results, $console is a file."""
    path = folder / name
    path.write_text(_HEAD + body + "\n")
    path.chmod(0o755)
    return str(path)
