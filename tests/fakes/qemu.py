"""Programs that stand in for QEMU: shell scripts that find the files of the two serial ports in their arguments."""

from __future__ import annotations

import shutil
import sys
import zlib
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
# RFC 1950 and 1951: a header, then each line as a stored block.
say() {{
    [ -s "$results" ] || printf '\\x78\\x01' >>"$results"
    local text="$1"$'\\n'
    local n=${{#text}}
    # shellcheck disable=SC2059
    printf "$(printf '\\\\x00\\\\x%02x\\\\x%02x\\\\x%02x\\\\x%02x' \\
        $((n & 255)) $((n >> 8)) $((~n & 255)) $((~n >> 8 & 255)))" >>"$results"
    printf '%s' "$text" >>"$results"
}}
# The last line, the last block and the checksum.
finish() {{
    say "$1"
    {sys.executable} -c 'import sys, zlib
content = open(sys.argv[1], "rb").read()
checksum = zlib.adler32(zlib.decompressobj().decompress(content))
open(sys.argv[1], "ab").write(b"\\x01\\0\\0\\xff\\xff" + checksum.to_bytes(4, "big"))' "$results"
}}
"""

HELLO = """say '{"hello":1,"release":"1.2.3-toy","version":"#1 toy"}'"""


def write_qemu(folder: Path, body: str, name: str = "qemu-fake") -> str:
    """An executable of that behaviour; its path. `say LINE` and `finish LINE` write results, $console is a file."""
    path = folder / name
    path.write_text(_HEAD + body + "\n")
    path.chmod(0o755)
    return str(path)


def deflated(text: bytes, *, ended: bool = True) -> bytes:
    """Lines as kd-guest sends them; not ended: the guest stopped after what it had flushed."""
    deflate = zlib.compressobj(1)
    sent = deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return sent + (deflate.flush() if ended else b"")
