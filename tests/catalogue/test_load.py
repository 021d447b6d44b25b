"""The catalogue: what it must hold, and what loading refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.errors import ConfigError, ExitCode, NotFoundError
from kdriver.core.paths import source_dir

PUBLISHED = Path(__file__).parent.parent / "fixtures" / "published_events.json"

NEEDED_CALLS = [
    "open",
    "openat",
    "creat",
    "close",
    "read",
    "write",
    "pread64",
    "pwrite64",
    "readv",
    "writev",
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "accept4",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "getsockopt",
    "setsockopt",
    "shutdown",
    "execve",
    "execveat",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "kill",
    "dup",
    "dup2",
    "dup3",
    "pipe2",
    "fcntl",
    "ioctl",
    "mmap",
    "munmap",
    "brk",
    "rename",
    "renameat2",
    "unlinkat",
    "mkdirat",
    "fchmodat",
    "chdir",
    "epoll_wait",
    "poll",
    "futex",
    "nanosleep",
    "prctl",
    "ptrace",
    "mount",
    "exit",
    "exit_group",
]


def test_events_follow_the_published_schema() -> None:
    catalogue = {event.id: event for event in load_catalogue().events}
    published = json.loads(PUBLISHED.read_text())
    assert {row["id"] for row in published} == {event_id for event_id, event in catalogue.items() if not event.own}
    for row in published:
        event = catalogue[row["id"]]
        assert event.name.removesuffix("_e") == row["name"]
        assert event.name.endswith("_e") == (event.captured_at == "entry"), (
            "the schema names both events of a call alike"
        )
        assert [[param.name, param.type] for param in event.params] == row["params"]


def test_every_needed_call_has_an_event() -> None:
    served = {call for event in load_catalogue().events for call in event.calls}
    assert set(NEEDED_CALLS) <= served


def test_process_exit_switch_and_tcp_connect_are_there() -> None:
    places = {event.name: event.captured_at for event in load_catalogue().events}
    assert places["procexit"] == "tracepoint:sched_process_exit"
    assert places["switch"] == "tracepoint:sched_switch"
    assert places["tcp_connect"] == "kprobe:tcp_connect"


def test_calls_that_never_return_are_captured_at_entry() -> None:
    places = {event.name: event.captured_at for event in load_catalogue().events}
    assert places["exit"] == places["exit_group"] == "entry"


def test_own_events_have_ids_from_1024() -> None:
    assert {event.name for event in load_catalogue().events if event.own} == {"exit", "exit_group", "tcp_connect"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "driver_src"
    shutil.copytree(source_dir("driver_src") / "catalogue", folder / "catalogue")
    shutil.copy(source_dir("driver_src") / "driver.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param("id = 5\n", "id = 3\n", "id 3 is used twice", id="id twice"),
        pytest.param('name = "close"', 'name = "open"', "name open is used twice", id="name twice"),
        pytest.param('calls = ["close"]', 'calls = ["open"]', "call open has two events", id="call twice"),
        pytest.param('calls = ["close"]', 'calls = ["shut"]', "call shut has no number", id="unknown call"),
        pytest.param('"fd(arg0)"', '"fd(arg6)"', "arg6 is no capture primitive", id="unknown argument"),
        pytest.param('"fd(arg0)"', '"fd(arg0, 1)"', "fd takes 1 arguments, not 2", id="arity"),
        pytest.param('"fd(arg0)"', '"user_str(arg0)"', "does not yield the type fd", id="type"),
        pytest.param('"fd(arg0)"', '"fd(arg0"', "closing bracket", id="bracket"),
        pytest.param('"fd(arg0)"', '"fd(user_str(arg0))"', "cannot be an argument", id="nested parameter"),
        pytest.param('type = "errno"', 'type = "error"', "type 'error' is unknown", id="unknown type"),
        pytest.param('check = "exact"', 'check = "roughly"', "check 'roughly' is none of", id="unknown check"),
        pytest.param('check = "exact"', 'check = "unchecked"', "check 'unchecked' is none of", id="no reason"),
        pytest.param('captured_at = "exit"', 'captured_at = "later"', "captured_at 'later'", id="unknown place"),
        pytest.param('values = "file_flags"', 'values = "flie_flags"', "'flie_flags' is not in", id="value set"),
        pytest.param('captured_at = "exit"\n', "", "lacks captured_at", id="missing key"),
    ],
)
def test_a_broken_catalogue_is_refused(source: Path, old: str, new: str, problem: str) -> None:
    path = source / "catalogue" / "file.toml"
    text = path.read_text()
    assert old in text
    at = text.index('name = "close"') if old in text[text.index("id = 5\n") :].split("[[event]]")[0] else 0
    at = max(0, at - 10)
    path.write_text(text[:at] + text[at:].replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        load_catalogue(source)
    assert problem in error.value.message
    assert error.value.exit_code == ExitCode.USAGE
    assert error.value.hint is not None and "adding-an-event" in error.value.hint


def test_all_problems_are_named_at_once(source: Path) -> None:
    path = source / "catalogue" / "file.toml"
    path.write_text(path.read_text().replace('"fd(arg0)"', '"fd(arg9)"').replace('type = "errno"', 'type = "error"'))
    with pytest.raises(ConfigError) as error:
        load_catalogue(source)
    assert "arg9" in error.value.message and "'error'" in error.value.message


def test_a_folder_without_a_catalogue_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        load_catalogue(tmp_path)
    assert "no driver.toml" in error.value.message
