"""kd-capture on this machine's kernel with the CO-RE probe: what was done comes out, in order, and is counted."""

from __future__ import annotations

import errno
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kdriver.core.paths import source_dir
from tests.driver_src.conftest import compile_bpf

pytestmark = pytest.mark.root

Line = dict[str, Any]
STEP_S = 60.0


class Capture:
    """A running kd-capture --control --json."""

    def __init__(self, argv: list[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)
        self.lines: queue.Queue[Line | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready = self.next()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def next(self) -> Line:
        """The next line; fails when there is none any more."""
        line = self.lines.get(timeout=STEP_S)
        if line is None:
            assert self.process.stderr is not None
            pytest.fail(f"kd-capture ended: {self.process.stderr.read()}")
        return line

    def command(self, text: str) -> tuple[Line, list[Line]]:
        """The answer to a command, and the lines before it."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        before = []
        while "ack" not in (line := self.next()):
            before.append(line)
        return line, before

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def rest(self) -> list[Line]:
        """All lines up to the end."""
        found = []
        while (line := self.lines.get(timeout=STEP_S)) is not None:
            found.append(line)
        return found


Start = Callable[..., Capture]


@pytest.fixture
def start(capture_tool: Path, core_object: Path) -> Iterator[Start]:
    """Starts kd-capture on the CO-RE probe, with only the programs of the named events."""
    started: list[Capture] = []

    def begin(events: str, *options: str, driver: Path = core_object) -> Capture:
        argv = [str(capture_tool), "--driver", str(driver), "--events", events, "--minimal"]
        started.append(Capture([*argv, "--json", "--control", *options]))
        return started[-1]

    yield begin
    for one in started:
        one.end()


def close_wrongly(number: int) -> None:
    """A call that the kernel sees and refuses: close of a descriptor that is not open."""
    try:
        os.close(number)
    except OSError as error:
        assert error.errno == errno.EBADF


def mine(lines: list[Line], name: str) -> list[Line]:
    return [line for line in lines if line.get("name") == name and line["tid"] == threading.get_native_id()]


def test_flush_prints_all_that_happened_before_it(start: Start) -> None:
    capture = start("close")
    assert capture.ready["ready"] is True and capture.ready["events"] == ["close"]
    before = time.time_ns()
    close_wrongly(700001)
    after = time.time_ns()
    answer, lines = capture.command("flush")
    assert answer == {"ack": "flush", "ok": True}
    event = next(line for line in mine(lines, "close") if line["params"]["fd"] == 700001)
    assert event["params"] == {"res": -errno.EBADF, "fd": 700001}
    assert before - 1_000_000 <= event["ts"] <= after + 1_000_000


def test_events_are_switched_on_and_off_while_it_runs(start: Start) -> None:
    capture = start("close,dup")
    assert capture.command("disable close")[0] == {"ack": "disable close", "ok": True}
    capture.command("flush")
    close_wrongly(700002)
    _, off = capture.command("flush")
    capture.command("enable close")
    close_wrongly(700003)
    _, on = capture.command("flush")
    assert mine(off, "close") == []
    assert 700003 in [line["params"]["fd"] for line in mine(on, "close")]


def test_unknown_commands_and_events_are_answered_with_what_is_wrong(start: Start) -> None:
    capture = start("close")
    assert capture.command("enable clos")[0] == {
        "ack": "enable clos", "ok": False, "error": "no event is called clos; near to it: close, close_range, clone",
    }  # fmt: skip
    assert capture.command("dance")[0]["error"].startswith("expected: enable EVENT")
    assert capture.command("snaplen 99999")[0]["error"] == "snaplen: expected a number of bytes from 0 to 16384"
    assert capture.command("enable dup")[0]["error"] == "its program was not loaded (--minimal)"


def test_capture_length_bounds_what_is_read_of_a_buffer(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "letters"
    path.write_bytes(b"abcdefgh" * 100)
    capture = start("read", "--snaplen", "16")
    sizes = []
    for command in ("flush", "snaplen 64", "snaplen 0"):
        capture.command(command)
        with path.open("rb", buffering=0) as file:
            file.read(500)
        _, lines = capture.command("flush")
        event = next(line for line in mine(lines, "read") if line["params"]["res"] == 500)
        sizes.append(len(event["params"]["data"] or "") // 2)
    assert sizes == [16, 64, 0]


def test_time_of_entry_comes_when_asked_for(start: Start) -> None:
    capture = start("poll", "--enter-time")
    select.poll().poll(20)
    _, lines = capture.command("flush")
    event = mine(lines, "poll")[-1]
    assert 20_000_000 <= event["ts"] - event["enter_ts"] < 2_000_000_000


WANDER = """
import os, sys
for number in range(int(sys.argv[1])):
    if number % 50 == 0:
        os.sched_setaffinity(0, {(number // 50) % os.cpu_count()})
    try:
        os.close(800000 + number)
    except OSError:
        pass
"""


@contextmanager
def wanderers(count: int, calls: int) -> Iterator[list[int]]:
    """Processes that make numbered calls while they move from CPU to CPU; yields their ids once all have ended."""
    started = [subprocess.Popen([sys.executable, "-c", WANDER, str(calls)]) for _ in range(count)]
    for one in started:
        assert one.wait(timeout=STEP_S) == 0
    yield [one.pid for one in started]


@pytest.mark.parametrize("buffer", ["ringbuf", "perf"])
@pytest.mark.parametrize("kind", ["raw", "tp"])
def test_each_thread_s_events_come_once_and_in_order_across_cpus(
    start: Start, core_object: Path, perf_object: Path, kind: str, buffer: str
) -> None:
    driver = perf_object if buffer == "perf" else core_object
    capture = start("close", "--program-type", kind, "--buffer-bytes", "8388608", driver=driver)
    assert (capture.ready["program_type"], capture.ready["buffer"]) == (kind, buffer)
    with wanderers(3, 4000) as pids:
        _, lines = capture.command("flush")
    stats = capture.command("stats")[1][-1]["stats"]
    assert (stats["drops"], stats["missed_runs"], stats["malformed"]) == (0, 0, 0)
    for pid in pids:
        calls = [line for line in lines if line.get("tid") == pid and line["params"]["fd"] >= 800000]
        assert [line["params"]["fd"] for line in calls] == list(range(800000, 804000))
        assert [line["ts"] for line in calls] == sorted(line["ts"] for line in calls)
        assert len({line["cpu"] for line in calls}) == min(2, os.cpu_count() or 1)


@pytest.mark.parametrize("buffer", ["ringbuf", "perf"])
def test_full_ring_counts_each_drop_once(start: Start, core_object: Path, perf_object: Path, buffer: str) -> None:
    driver = perf_object if buffer == "perf" else core_object
    capture = start("close", "--buffer-bytes", "4096", "--pid", str(os.getpid()), driver=driver)
    assert capture.ready["buffer_bytes"] == 4096
    capture.process.send_signal(signal.SIGSTOP)
    for number in range(5000):
        close_wrongly(900000 + number)
    capture.process.send_signal(signal.SIGCONT)
    _, lines = capture.command("flush")
    close_wrongly(909999)  # a perf buffer tells what it lost with the next record
    _, more = capture.command("flush")
    stats = capture.command("stats")[1][-1]["stats"]
    printed = len([line for line in lines + more if line["params"]["fd"] in range(900000, 905000)])
    assert printed < 5000
    assert stats["drops"] == stats["drops_buffer"] >= 5000 - printed
    assert stats["drops"] < 2 * (5000 - printed)  # others make calls too


def test_filters_keep_one_process_or_one_name(capture_tool: Path, core_object: Path, tmp_path: Path) -> None:
    script = (
        "import os, sys\nsys.stdin.readline()\ntry:\n os.close(700009)\nexcept OSError:\n pass\nsys.stdin.readline()"
    )
    pipe = subprocess.PIPE
    wanted, other = (subprocess.Popen([sys.executable, "-c", script], stdin=pipe, text=True) for _ in range(2))
    argv = [str(capture_tool), "--driver", str(core_object), "--events", "close", "--minimal", "--json", "--control"]
    comm = Path(f"/proc/{wanted.pid}/comm").read_text().strip()
    try:
        by_pid = Capture([*argv, "--pid", str(wanted.pid)])
        by_name = Capture([*argv, "--comm", comm])
        by_other_name = Capture([*argv, "--comm", "no such name"])
        for one in (wanted, other):
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        time.sleep(0.5)
        found = [
            {line["tid"] for line in one.command("flush")[1] if line["params"]["fd"] == 700009}
            for one in (by_pid, by_name, by_other_name)
        ]
        assert found[0] == {wanted.pid}
        assert found[1] >= {wanted.pid, other.pid}
        assert found[2] == set()
    finally:
        for capture in (by_pid, by_name, by_other_name):
            capture.end()
        for one in (wanted, other):
            one.kill()
            one.communicate()


def test_quit_and_end_of_commands_end_it_with_the_counts(start: Start) -> None:
    first, second = start("close"), start("close")
    assert first.process.stdin is not None and second.process.stdin is not None
    first.process.stdin.write("quit\n")
    second.process.stdin.close()
    for capture in (first, second):
        assert list(capture.rest()[-1]) == ["stats"]
        assert capture.process.wait(timeout=STEP_S) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_the_counts(start: Start, number: signal.Signals) -> None:
    capture = start("close")
    capture.process.send_signal(number)
    assert capture.rest()[-1]["stats"]["driver"] == "core"
    assert capture.process.wait(timeout=STEP_S) == 0


def test_max_events_ends_it_after_as_many(capture_tool: Path, core_object: Path) -> None:
    argv = [str(capture_tool), "--driver", str(core_object), "--events", "close", "--minimal", "--json"]
    with subprocess.Popen([*argv, "--max-events", "3"], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            close_wrongly(700010)
            time.sleep(0.01)
        assert process.stdout is not None
        lines = [json.loads(line) for line in process.stdout]
    assert [line.get("name", "stats") for line in lines] == ["close"] * 3 + ["stats"]
    assert lines[-1]["stats"]["printed"] == 3


def test_closed_output_ends_it_quietly(capture_tool: Path, core_object: Path) -> None:
    argv = [str(capture_tool), "--driver", str(core_object), "--events", "close", "--minimal", "--json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    deadline = time.monotonic() + STEP_S
    while process.poll() is None and time.monotonic() < deadline:
        close_wrongly(700011)
        time.sleep(0.02)
    assert process.returncode == 0
    assert "core driver" in process.stderr.read()
    process.stderr.close()


def check(tool: Path, driver: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [str(tool), "--driver", str(driver), "--check", *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=STEP_S, check=False)


SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 256); __type(key, int); __type(value, int); }
	kd_tail SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __uint(value_size, 16); }
	kd_settings SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __type(key, int); __type(value, int); } kd_perf SEC(".maps");
SEC("raw_tp/kd_fill") int kd_f_close_0(void *context)
{
	int key = 7;
	int *found = bpf_map_lookup_elem(&kd_settings, &key);
	return BODY;
}
char kd_license[] SEC("license") = "GPL";
#ifdef RELEASE
char kd_built_for[] SEC("kd_release") = RELEASE;
const unsigned int kd_build_facts[4] SEC("kd_facts") = {1, FAULTABLE};
#endif
#ifdef SCHEMA
char kd_built_from[] SEC("kd_schema") = SCHEMA;
#endif
"""


@pytest.fixture
def make_object(may_load_bpf: None, tmp_path: Path) -> Callable[..., Path]:
    """A small object with one program; BODY is what it returns."""

    def make(*defines: str) -> Path:
        source = tmp_path / "one.c"
        source.write_text(SOURCE)
        return compile_bpf(source, tmp_path / "one.o", source_dir("driver_src") / "common", defines=defines)

    return make


def test_refused_program_is_named_with_the_verifier_s_last_lines(
    capture_tool: Path, make_object: Callable[..., Path]
) -> None:
    path = make_object("BODY=*found")
    done = check(capture_tool, path)
    first, *verifier = done.stderr.splitlines()
    assert done.returncode == 7
    assert first == f"kd-capture: {path}: the kernel refuses the program kd_f_close_0: Permission denied"
    assert len(verifier) <= 13 and all(line.startswith("  verifier: ") for line in verifier)
    assert any("invalid mem access 'map_value_or_null'" in line for line in verifier)


def test_refused_program_is_left_out_when_asked(capture_tool: Path, make_object: Callable[..., Path]) -> None:
    done = check(capture_tool, make_object("BODY=*found"), "--skip-refused")
    assert done.returncode == 0, done.stderr
    reasons = {one["event"]: one["reason"] for one in json.loads(done.stdout)["unavailable"]}
    assert "invalid mem access" in reasons["close"]


def test_probe_of_another_kernel_is_refused_unless_forced(capture_tool: Path, make_object: Callable[..., Path]) -> None:
    path = make_object("BODY=!found", 'RELEASE="6.1.0-0-nowhere"', "FAULTABLE=0")
    done = check(capture_tool, path)
    assert done.returncode == 7
    assert done.stderr == (
        f"kd-capture: {path}: built for kernel 6.1.0-0-nowhere, this kernel is {os.uname().release}\n"
        "  hint: Take the probe that was built for this kernel, or the CO-RE probe.\n"
    )
    forced = json.loads(check(capture_tool, path, "--force").stdout)
    assert (forced["driver"], forced["buffer"]) == ("bpf", "perf")


@pytest.mark.parametrize(("faultable", "kind"), [(0, "raw"), (1, "tp")])
def test_probe_of_this_kernel_says_which_programs_lose_nothing(
    capture_tool: Path, make_object: Callable[..., Path], faultable: int, kind: str
) -> None:
    release = f'RELEASE="{os.uname().release}"'
    path = make_object("BODY=!found", release, f"FAULTABLE={faultable}")
    ready = json.loads(check(capture_tool, path, "--force").stdout)
    assert (ready["driver"], ready["program_type"]) == ("bpf", kind)


# The CO-RE probe with the marks of a probe that was compiled for this kernel. Without the attribute that makes its
# accesses relocatable it has each field where its own short types have it, as if compiled for quite another kernel.
# All is read by helpers there: the verifier itself refuses wrong fields of pointers that it trusts.
FORGED = """
#ifdef FIXED
#define preserve_access_index annotate("fixed")
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#undef bpf_core_enum_value_exists
#define bpf_core_enum_value_exists(type, value) 0
#endif
#include "kd_core.c"
const char kd_built_for[] SEC("kd_release") = RELEASE;
"""


@pytest.fixture
def make_forged(may_load_bpf: None, generated: Path, tmp_path: Path) -> Callable[..., Path]:
    """A probe that says it was built for a kernel."""

    def make(release: str, *defines: str) -> Path:
        root = source_dir("driver_src")
        source, out = tmp_path / "forged.c", tmp_path / "kdriver.bpf.o"
        source.write_text(FORGED)
        defines = (f'RELEASE="{release}"', *defines)
        return compile_bpf(source, out, root / "common", generated, root / "core", defines=defines)

    return make


def test_self_test_passes_a_probe_that_reads_this_kernel_rightly(
    capture_tool: Path, make_forged: Callable[..., Path]
) -> None:
    """Also when only other events are to be loaded, and it leaves no trace in the counts."""
    path = make_forged(os.uname().release)
    done = check(capture_tool, path, "--events", "close", "--minimal")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["driver"] == "bpf"
    argv = [str(capture_tool), "--driver", str(path), "--events", "setns", "--json", "--duration", "0.1"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=STEP_S, check=False)
    counts = json.loads(done.stdout.splitlines()[-1])["stats"]
    assert (counts["events"], counts["drops_buffer"], counts["drops_scratch"]) == (0, 0, 0)


def test_self_test_refuses_a_probe_of_another_kernel_that_says_it_is_of_this_one(
    capture_tool: Path, make_forged: Callable[..., Path]
) -> None:
    path = make_forged(os.uname().release, "FIXED")
    done = check(capture_tool, path)
    first, hint = done.stderr.splitlines()
    assert done.returncode == 7
    assert first.startswith(f"kd-capture: {path}: reads this kernel wrongly, self-test: ")
    assert hint == "  hint: Take the probe that was built for this very kernel, or the CO-RE probe."
    assert check(capture_tool, path, "--force").returncode == 0


def test_object_from_another_table_of_events_is_refused(capture_tool: Path, make_object: Callable[..., Path]) -> None:
    path = make_object("BODY=!found", 'SCHEMA="0123abcd"')
    done = check(capture_tool, path)
    assert (done.returncode, done.stderr) == (
        7,
        f"kd-capture: {path}: built from another table of events than this program\n"
        "  hint: Use the kd-capture that was published with it.\n",
    )


def test_object_of_others_is_refused(capture_tool: Path, make_object: Callable[..., Path], tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text('char kd_license[] __attribute__((section("license"))) = "GPL";\n')
    path = compile_bpf(source, tmp_path / "other.o")
    done = check(capture_tool, path)
    assert (done.returncode, done.stderr) == (7, f"kd-capture: {path}: an eBPF object, but none of kdriver's\n")


def test_missing_permission_gets_a_hint(capture_tool: Path, core_object: Path, tmp_path: Path) -> None:
    """Without capabilities bpf() is refused, by privilege or by kernel.unprivileged_bpf_disabled."""
    argv = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        str(capture_tool),
    ]
    tool, probe = tmp_path / "kd-capture", tmp_path / "kdriver.core.o"
    for source, copy in ((capture_tool, tool), (core_object, probe)):
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o755)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o005)
    argv[-1] = str(tool)
    done = subprocess.run([*argv, "--driver", str(probe), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert done.stderr == (
        "kd-capture: the kernel refuses bpf(): Operation not permitted\n"
        "  hint: Run as root, or with CAP_BPF and CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN).\n"
    )
