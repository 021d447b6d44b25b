"""The command line as a whole: every command teaches, options have the same names, faults are one line and a hint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from kdriver import cli
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TinyKernel, write_index

ACTING = ("index update", "build", "verify", "cache prune", "repo init", "publish", "load", "unload")
"""Commands that change something and end: each can say what it would do."""

NOT_A_RESULT = ("serve", "scheduler", "worker", "events manual")
"""Commands that run until they are stopped and print no result, or whose result is a document in another format."""

REQUIRED_CALLS = """
open openat creat close read write pread64 pwrite64 readv writev socket bind connect listen accept accept4 sendto
recvfrom sendmsg recvmsg getsockopt setsockopt shutdown execve execveat clone clone3 fork vfork kill dup dup2 dup3 pipe2
fcntl ioctl mmap munmap brk rename renameat2 unlinkat mkdirat fchmodat chdir epoll_wait poll futex nanosleep prctl
ptrace mount exit exit_group
"""
"""Calls that the first version promised to serve; the catalogue may only grow."""

OPTION_NAMES = {
    "-n": "--dry-run",
    "-j": "--jobs",
}


def _leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        full = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from _leaves(command, full)
        else:
            yield full, command


LEAVES = dict(_leaves(cli.cli))


def _options(command: click.Command) -> dict[str, click.Option]:
    return {name: param for param in command.params if isinstance(param, click.Option) for name in param.opts}


@pytest.mark.parametrize("name", list(LEAVES))
def test_help_says_what_the_command_does_and_shows_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*name.split(), "--help"]) == ExitCode.DONE
    text = capsys.readouterr().out
    assert len(LEAVES[name].help or "") > 80, "the help is one short line; say what it does and what it prints"
    body = text.split("\n", 1)[1]
    assert f"kdriver {name}" in body, "no example of the command in its help"


# Those of the index show keys of kernels with a remark, which no shorter line holds.
@pytest.mark.parametrize("name", ["", *(name for name in LEAVES if not name.startswith("index "))])
def test_help_fits_eighty_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run([*name.split(), "--help"]) == ExitCode.DONE
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", list(LEAVES))
def test_every_option_is_explained(name: str) -> None:
    bare = [option.opts for option in LEAVES[name].params if isinstance(option, click.Option) and not option.help]
    assert not bare


@pytest.mark.parametrize("name", ACTING)
def test_a_command_that_acts_can_say_what_it_would_do(name: str) -> None:
    assert {"-n", "--dry-run"} <= set(_options(LEAVES[name]))


@pytest.mark.parametrize("name", [name for name in LEAVES if name not in NOT_A_RESULT])
def test_results_can_be_had_as_json(name: str) -> None:
    assert "--json" in _options(LEAVES[name])


@pytest.mark.parametrize("name", list(LEAVES))
def test_short_options_mean_the_same_everywhere(name: str) -> None:
    for short, long in OPTION_NAMES.items():
        option = _options(LEAVES[name]).get(short)
        assert option is None or long in option.opts, f"{short} is {option.opts}"


def test_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == ExitCode.DONE
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in cli.COMMANDS)


def test_overview_imports_nothing_heavy() -> None:
    program = (
        "import sys; from kdriver import cli; cli.run(['--help']);"
        "print(sorted({'requests', 'tuf', 'jinja2', 'elftools', 'cryptography'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["frobnicate"]) == ExitCode.USAGE
    assert "No such command 'frobnicate'" in capsys.readouterr().err


def test_a_full_disk_behind_stdout_is_one_line_with_a_hint() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kdriver", "events", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == ExitCode.SOME_FAILED
    assert done.stderr.splitlines() == [
        "kdriver: no space left to write to",
        "  hint: Free space in the cache (KDRIVER_CACHE), in TMPDIR, and where the output goes.",
    ]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["coverage", "--markdown", "{file}/below/a/file.md"], id="markdown"),
        pytest.param(["coverage", "--html", "{file}/below/a/file.html"], id="html"),
        pytest.param(["build", "--kernel", "x", "--junit", "{file}/below/a/file.xml"], id="junit"),
    ],
)
def test_a_folder_that_cannot_be_is_one_line_with_a_hint(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = [word.format(file=tmp_path / "file") for word in words]
    site = {"KDRIVER_CACHE": str(tmp_path / "cache"), "KDRIVER_INDEX": str(tmp_path / "index")}
    if words[0] == "build":
        write_index(tmp_path / "index", TinyKernel(release="x").packages(tmp_path))
        program[2] = "debian/x86_64/x/1.2.3-1"
        site["KDRIVER_CLANG"] = "clang-that-is-not-there"
    done = subprocess.run(
        [sys.executable, "-m", "kdriver", *program], capture_output=True, text=True, env={**os.environ, **site}
    )
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-2:]
    assert said[0].startswith(f"kdriver: {tmp_path / 'file'}") and said[0].endswith(": Not a directory")
    assert said[1] == "  hint: Name a file or folder that is there and that you may read or write."


def test_a_missing_file_that_nobody_named_is_no_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "deep" / "kernel"

    @click.command()
    @click.argument("words", nargs=-1)
    def command(words: tuple[str, ...]) -> None:
        missing.read_bytes()

    monkeypatch.setitem(sys.modules, "kdriver_tests_command", SimpleNamespace(command=command))
    monkeypatch.setitem(cli.COMMANDS, "events", ("kdriver_tests_command", ""))
    assert cli.run(["events", "x", str(tmp_path / "other")]) == ExitCode.SOME_FAILED
    said = capsys.readouterr().err
    assert said.startswith(f"kdriver: {missing}: No such file or directory\n  hint: You did not name it; if ")
    for word in (str(missing), str(missing.parent), f"KEY={missing}"):
        assert cli.run(["events", word]) == ExitCode.USAGE
    monkeypatch.setenv("KDRIVER_CACHE", str(missing))
    assert cli.run(["events"]) == ExitCode.USAGE


def test_a_reader_that_has_seen_enough_is_no_traceback() -> None:
    command = f"{sys.executable} -m kdriver events list --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[", "")


def test_unknown_event_is_one_line_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["events", "show", "opennat"]) == ExitCode.NOT_FOUND
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("kdriver: ")
    assert "opennat" in lines[0]
    assert lines[1].startswith("  hint: ")
    assert "openat" in captured.err


def test_events_list_has_the_promised_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["events", "list", "--json"]) == ExitCode.DONE
    events = json.loads(capsys.readouterr().out)
    served = {call for event in events for call in event["calls"]}
    assert served >= set(REQUIRED_CALLS.split())
    assert {"procexit", "switch", "tcp_connect"} <= {event["name"] for event in events}
    for event in events:
        assert {"id", "name", "calls", "category", "captured_at", "params"} <= set(event)
        assert isinstance(event["id"], int)
        assert all(isinstance(call, str) for call in event["calls"])
        assert all({"name", "type", "check"} <= set(param) for param in event["params"])
    assert len({event["id"] for event in events}) == len(events)
    assert {event["name"]: event["captured_at"] for event in events}["exit_group"] == "entry"
