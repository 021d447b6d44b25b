"""Blocks of events as the drivers write them, for tests of what reads them."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

Line = dict[str, Any]

TS = 1_700_000_000_123_456_789


def block(kind: int, params: list[bytes], *, ts: int = TS, tid: int = 42) -> bytes:
    """Packed header (ts, tid, len, type, nparams), u16 lengths, values."""
    lengths = b"".join(struct.pack("<H", len(value)) for value in params)
    values = b"".join(params)
    size = 26 + len(lengths) + len(values)
    return struct.pack("<QQIHI", ts, tid, size, kind, len(params)) + lengths + values


def s64(value: int) -> bytes:
    """Eight bytes, signed."""
    return struct.pack("<q", value)


def u64(value: int) -> bytes:
    """Eight bytes."""
    return struct.pack("<Q", value)


def u32(value: int) -> bytes:
    """Four bytes."""
    return struct.pack("<I", value)


def run_decode(tool: Path, folder: Path, rings: list[bytes], *options: str) -> subprocess.CompletedProcess[str]:
    """Let kd-capture decode the bytes of some rings, one for each CPU."""
    argv = [str(tool), *options]
    for cpu, content in enumerate(rings):
        path = folder / f"ring{cpu}"
        path.write_bytes(content)
        argv += ["--decode-file", str(path)]
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=environment)


def decode(tool: Path, folder: Path, *rings: bytes) -> tuple[list[Line], Line]:
    """The lines that kd-capture --json prints, and its counts."""
    done = run_decode(tool, folder, list(rings), "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:-1], lines[-1]["stats"]
