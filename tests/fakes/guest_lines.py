"""What a guest would write to its result channel: lines of a run in which all is right, or of one that stops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.qemu import deflated, write_qemu

RELEASE = "1.2.3-tiny-amd64"
STEPS = (
    "load",
    "open",
    "cases",
    "flush",
    "asked",
    "asked-flush",
    "switch",
    "pressure",
    "snaplen",
    "ports",
    "call",
    "quit",
    "overrun",
    "unload",
)


def hello(release: str = RELEASE) -> dict[str, Any]:
    """The first line."""
    return {"hello": 1, "release": release, "version": "#1 toy"}


def good_run(kind: str, *, tid: int = 71, res: int = 3) -> list[dict[str, Any]]:
    """A driver's lines: one dup, expected to give 3 and seen to give `res`."""
    stats = {"driver": kind, "program_type": "raw", "events": 1, "drops": 0, "missed_runs": 0}
    event = {"ts": 100, "cpu": 0, "tid": tid, "type": 155, "name": "dup", "params": {"res": res, "oldfd": 0}}
    expect = {"case": "dup", "event": "dup", "tid": tid, "params": {"res": 3, "oldfd": 0}}
    overrun = {"made": 20, "seen": 15, "entry_asked": 8, "entry_seen": 8, "stats": {"stats": {**stats, "drops": 5}}}
    lines: list[dict[str, Any]] = [
        {"stage": "load"},
        {"ready_line": {"ready": True, "program_type": "raw"}},
        {"expect": expect},
        {"event": event},
        {"reported": {"other_threads": 0, "left_out": 0}},
        {"stats_after": "cases", "stats_line": {"stats": stats}},
        {"switch": {"event": "dup", "made": 8, "while_off": 0, "others_while_off": 5, "while_on": 8}},
        {"pressure": {"made": 2000, "seen": 2000, "backwards": 0}},
        {"snaplen": {"asked": 16, "written": 64, "events": 1, "seen": 16}},
        {"ports": {"made": 13, "right": 13, "wrong": -1, "wrong_seen": 0, "off": 16, "off_wanted": 16}},
        {"call": {"made": 8, "seen": 8, "while_off": 0}},
        {"overrun": overrun},
        *({"step": name, "status": 0, "ms": 10, "detail": ""} for name in STEPS if kind == "kmod" or name != "load"),
        {"taint_before": 0, "taint_after": 0, "time_before": 0, "time_after": 1000, "pages_kept_kb": 0},
        {"done": True},
    ]
    return [{"driver": kind, **line} for line in lines]


def ended(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines with the last one after them."""
    return [*lines, {"end": True, "rc": 0, "lines": len(lines) + 1}]


def write_boots(folder: Path, *boots: Sequence[dict[str, Any]]) -> str:
    """A QEMU whose n-th boot writes the n-th lines and ends; further ones write the last lines. Its path.

    The command lines that it got are kept in `folder`/argv.<n>.
    """
    for number, lines in enumerate(boots, start=1):
        text = "".join(json.dumps(line) + "\n" for line in lines).encode()
        (folder / f"boot.{number}").write_bytes(deflated(text, ended=bool(lines) and "end" in lines[-1]))
    body = f"""
number=$(($(cat "{folder}/count" 2>/dev/null || echo 0) + 1))
echo $number >"{folder}/count"
echo "$@" >"{folder}/argv.$number"
[ $number -le {len(boots)} ] || number={len(boots)}
cat "{folder}/boot.$number" >>"$results"
echo "Kernel panic - not syncing: made up" >>"$console" """
    return write_qemu(folder, body)


def write_boots_of(folder: Path, *releases: str, before: str = "") -> str:
    """A QEMU that finds the release in the kernel's file and, where it is one of these, ends with all drivers right.
    Its path. before: shell lines that run first; $release is set. Each boot is a line in `folder`/boots."""
    for release in releases:
        lines = ended([hello(release), *good_run("kmod"), *good_run("bpf"), *good_run("core")])
        text = "".join(json.dumps(line) + "\n" for line in lines).encode()
        (folder / f"boot.{release}").write_bytes(deflated(text))
    body = f"""
previous=
for word in "$@"; do
    [ "$previous" != -kernel ] || kernel=$word
    previous=$word
done
release=$(grep -ao 'Linux version [^ ]*' "$kernel" | head -1 | cut -d' ' -f3)
echo "$release" >>"{folder}/boots"
{before}
cat "{folder}/boot.$release" >>"$results"
echo "Kernel panic - not syncing: made up" >>"$console" """
    return write_qemu(folder, body)
