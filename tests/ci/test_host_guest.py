"""The guest that plays a host: its command lines, its layers, and how its session is judged."""

from __future__ import annotations

import io
import json
import struct
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import guest_layers
import guest_session
import host_guest
import pytest
from host_guest import StepResult

from kdriver.core.errors import VerifyError
from kdriver.verifier.initramfs import Entry
from kdriver.verifier.machine import MachinePlan

STEPS = host_guest.plan_session("http://10.0.2.2:1/", "kmod", 3)
GOOD_OUTPUT = {
    "load": "loaded: kdriver 0.1.0 (kmod)",
    "load again": "already loaded: kdriver 0.1.0 (kmod)",
    "status": "kdriver 0.1.0 (kmod): passed on debian/x86_64/6.1.0-56-amd64/6.1.192-2",
    "capture": '10:48:10.1 1 120 openat(cat) fd=3 name="/etc/hostname" flags=O_RDONLY',
    "unload": "kdriver.ko (abc): removed from this host",
    "status after": "no driver is in place",
}
GOOD = tuple(StepResult(step.name, step.argv, (GOOD_OUTPUT[step.name],), 0, 1.0) for step in STEPS)


def test_a_session_in_which_all_went_well_has_no_fault() -> None:
    assert host_guest.judge(STEPS, GOOD) == ()


@pytest.mark.parametrize("name", [step.name for step in STEPS])
def test_a_step_that_failed_or_said_something_else_is_a_fault(name: str) -> None:
    failed = tuple(replace(one, status=7) if one.name == name else one for one in GOOD)
    assert host_guest.judge(STEPS, failed) == (f"{name}: ended with status 7: {GOOD_OUTPUT[name]}",)
    strange = tuple(replace(one, output=("nothing of it",)) if one.name == name else one for one in GOOD)
    assert host_guest.judge(STEPS, strange)[0].startswith(f"{name}: no line of its output matches")


def test_a_fault_names_the_error_and_not_its_hint() -> None:
    refused = replace(GOOD[0], status=6, output=("kdriver: differs from its digest", "  hint: Tell its owner."))
    assert host_guest.judge(STEPS[:1], (refused,)) == ("load: ended with status 6: kdriver: differs from its digest",)


def test_steps_that_were_not_reached_are_faults() -> None:
    assert host_guest.judge(STEPS, GOOD[:1]) == tuple(f"{step.name}: was not reached" for step in STEPS[1:])


def test_the_first_load_names_the_root_and_the_second_does_not_need_to() -> None:
    assert "--trust" in STEPS[0].argv
    assert "--trust" not in STEPS[1].argv


def test_the_machine_has_a_network_card_that_needs_no_rom_file(tmp_path: Path) -> None:
    plan = MachinePlan("qemu", tmp_path / "k", tmp_path / "i", tmp_path / "c", tmp_path / "r")
    assert host_guest.plan_machine(plan)[-4:] == [
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]


def fake_qemu(tmp_path: Path, text: str, seconds: float = 0.0) -> list[str]:
    script = tmp_path / "qemu.py"
    results = tmp_path / "results.jsonl"
    script.write_text(f"import time\nopen({str(results)!r}, 'a').write({text!r})\ntime.sleep({seconds})\n")
    return [sys.executable, str(script)]


def test_results_are_followed_as_they_come(tmp_path: Path) -> None:
    records = [
        {"step": "load", "run": ["kdriver", "load"]},
        {"out": "loaded: x"},
        {"status": 0, "seconds": 1.5},
        {"end": True},
    ]
    text = "".join(json.dumps(one) + "\n" for one in records)
    shown: list[str] = []
    results = host_guest.run_session(fake_qemu(tmp_path, text), tmp_path / "results.jsonl", 20, shown.append)
    assert results == (StepResult("load", ("kdriver", "load"), ("loaded: x",), 0, 1.5),)
    assert shown == ["guest# kdriver load", "  loaded: x", "  (1.5 s)"]


def test_a_guest_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="did not power off in time") as caught:
        host_guest.run_session(fake_qemu(tmp_path, "", 60), tmp_path / "results.jsonl", 0.5, print)
    assert caught.value.hint


def test_a_session_that_broke_is_an_error(tmp_path: Path) -> None:
    text = json.dumps({"fault": "OSError: no"}) + "\n"
    with pytest.raises(VerifyError, match="the guest's session broke: OSError: no"):
        host_guest.run_session(fake_qemu(tmp_path, text), tmp_path / "results.jsonl", 20, print)


def test_the_session_program_reports_each_step(tmp_path: Path) -> None:
    class Channel(guest_session.Channel):
        def __init__(self) -> None:
            self.records: list[dict[str, object]] = []

        def write(self, record: dict[str, object]) -> None:
            self.records.append(record)

    channel = Channel()
    step = {"name": "greet", "argv": ["sh", "-c", "echo hello; exit 3"], "timeout_s": 10, "meanwhile": []}
    assert guest_session.run_step(channel, step, cwd=str(tmp_path)) == 3
    assert channel.records[:2] == [{"step": "greet", "run": step["argv"]}, {"out": "hello"}]
    assert channel.records[2]["status"] == 3


def test_the_root_file_system_is_made_from_the_given_mirror(tmp_path: Path) -> None:
    argv = guest_layers.plan_root(tmp_path / "root.tar", "http://mirror.example/debian")
    assert argv[0] == "mmdebstrap"
    assert argv[-3:] == ["bookworm", str(tmp_path / "root.tar"), "deb http://mirror.example/debian bookworm main"]


def test_wheels_are_chosen_for_the_guests_python() -> None:
    argv = guest_layers.plan_install(["tuf>=7"], Path("site"), with_dependencies=True)
    assert argv[argv.index("--python-version") + 1] == "3.11"
    assert "--only-binary=:all:" in argv
    assert "cp311" in argv
    assert argv[-1] == "tuf>=7"


def pyc(flags: int) -> bytes:
    return b"\xa7\r\r\n" + struct.pack("<III", flags, 1_700_000_000, 10) + b"code"


def test_compiled_python_is_not_compared_with_times_that_the_archive_does_not_keep(tmp_path: Path) -> None:
    tar = tmp_path / "root.tar"
    with tarfile.open(tar, "w") as archive:
        for name, content in {"./usr/lib/x.pyc": pyc(0), "./usr/share/doc/a": b"", "./bin/sh": b"#!"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(content))
    entries = {entry.path: entry for entry in guest_layers.tar_entries(tar)}
    assert set(entries) == {"usr/lib/x.pyc", "bin/sh"}
    assert struct.unpack("<I", entries["usr/lib/x.pyc"].content[4:8]) == (1,)
    assert entries["usr/lib/x.pyc"].content.endswith(b"code")
    assert entries["bin/sh"].mode & 0o777 == 0o755


def test_a_layer_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path))
    made = []

    def make(_scratch: Path) -> list[Entry]:
        made.append(1)
        return [Entry("a", 0o100644, b"x")]

    first = guest_layers.keep_layer("name", ("v1",), make)
    again = guest_layers.keep_layer("name", ("v1",), make)
    other = guest_layers.keep_layer("name", ("v2",), make)
    assert (first.made, again.made, other.made) == (True, False, True)
    assert first.path == again.path != other.path
    assert len(made) == 2


def test_layers_are_written_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path))
    layer = guest_layers.keep_layer("name", (), lambda _scratch: [Entry("a", 0o100644, b"first")])
    out = guest_layers.join_layers([layer], [Entry("b", 0o100644, b"last")], tmp_path / "out.cpio")
    content = out.read_bytes()
    assert content.count(b"TRAILER!!!") == 2
    assert content.index(b"first") < content.index(b"last")
    assert len(content) % 512 == 0
