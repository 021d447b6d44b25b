"""`kdriver capture`: open a driver and print its events. The work is done by the static C tool kd-capture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, LoadError, NotFoundError

if TYPE_CHECKING:
    from kdriver.loader.state import Installed

TOOL_VARIABLE = "KDRIVER_CAPTURE"


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """What to capture, in the words of kd-capture's options. duration_s 0 and numbers None: kd-capture's defaults."""

    driver: str
    events: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    comms: tuple[str, ...] = ()
    snaplen: int | None = None
    fullcapture_ports: str | None = None
    statsd_port: int | None = None
    buffer_bytes: int | None = None
    duration_s: float = 0
    max_events: int | None = None
    program_type: str = "auto"
    btf: Path | None = None
    switches: tuple[str, ...] = ()


def plan_capture(tool: Path, request: CaptureRequest) -> list[str]:
    """The command line that runs kd-capture."""
    argv = [str(tool), "--driver", request.driver]
    if request.events:
        argv += ["--events", ",".join(request.events)]
    for pid in request.pids:
        argv += ["--pid", str(pid)]
    for comm in request.comms:
        argv += ["--comm", comm]
    if request.snaplen is not None:
        argv += ["--snaplen", str(request.snaplen)]
    if request.fullcapture_ports is not None:
        argv += ["--fullcapture-ports", request.fullcapture_ports]
    if request.statsd_port is not None:
        argv += ["--statsd-port", str(request.statsd_port)]
    if request.buffer_bytes is not None:
        argv += ["--buffer-bytes", str(request.buffer_bytes)]
    if request.duration_s:
        argv += ["--duration", f"{request.duration_s:g}"]
    if request.max_events is not None:
        argv += ["--max-events", str(request.max_events)]
    if request.program_type != "auto":
        argv += ["--program-type", request.program_type]
    if request.btf is not None:
        argv += ["--btf", str(request.btf)]
    return argv + [f"--{name}" for name in request.switches]


def driver_of(installed: Installed | None) -> str:
    """How kd-capture names the driver that `kdriver load` put in place. Raises NotFoundError when there is none."""
    if installed is None:
        raise NotFoundError(
            "no driver is in place on this host",
            hint="Name one with --driver: the path of an eBPF object, or kmod for a loaded module.",
        )
    return f"kmod:{installed.name}" if installed.kind is DriverKind.KMOD else installed.path


def find_tool(driver: str, installed: Installed | None) -> Path:
    """The kd-capture to run.

    KDRIVER_CAPTURE, else the one that was published with the installed driver if that is the one asked for, else one
    built from this source (a full install), else the installed one. Raises ConfigError for a variable that names no
    program, NotFoundError when there is none at all.
    """
    named = os.environ.get(TOOL_VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise ConfigError(
                f"{TOOL_VARIABLE}={named}: is no program", hint="Set it to the path of kd-capture, or unset it."
            )
        return Path(named).absolute()
    published = Path(installed.capture) if installed and installed.capture else None
    if published and not os.access(published, os.X_OK):
        published = None
    if installed and published and driver == driver_of(installed):
        return published
    built = _build_tool()
    if built or published:
        return built or published or Path()
    raise NotFoundError(
        "kd-capture is not on this host",
        hint=f"Set {TOOL_VARIABLE} to its path, or run `kdriver load`, which fetches it with the driver.",
    )


def _build_tool() -> Path | None:
    """Build kd-capture, or take it from the cache. None in an install that has no builder. Raises BuildError."""
    try:
        from builder.tools import build_tools
    except ImportError:
        return None
    return build_tools().capture


@click.command(name="capture")
@click.option("--driver", metavar="PATH|kmod[:NAME]", help="An eBPF object, or the loaded module. [default: installed]")
@click.option("--events", "event_lists", multiple=True, metavar="A,B|all", help="Which events. [default: all]")
@click.option("--pid", "pids", type=click.IntRange(1), multiple=True, help="Only this process and its threads.")
@click.option("--comm", "comms", multiple=True, metavar="NAME", help="Only processes of this name.")
@click.option("--snaplen", type=click.IntRange(0, 16384), help="Bytes captured of a buffer. [default: 80]")
@click.option("--dynamic-snaplen", is_flag=True, help="Capture more of what sockets carry: of HTTP, databases, DNS.")
@click.option("--fullcapture-ports", metavar="A-B", help="With --dynamic-snaplen: 16000 bytes of these ports.")
@click.option("--statsd-port", type=click.IntRange(0, 65535), help="With --dynamic-snaplen. [default: 8125]")
@click.option("--buffer-bytes", type=click.IntRange(1), help="Size of each CPU's ring. [default: 1 MiB]")
@click.option("--duration", "duration_s", type=click.FloatRange(0, min_open=True), help="Stop after these seconds.")
@click.option("--max-events", type=click.IntRange(1), help="Stop after this many printed events.")
@click.option("--enter-time", is_flag=True, help="Carry the time of entry of each call (costs a second hook).")
@click.option(
    "--program-type",
    type=click.Choice(["auto", "raw", "tp"]),
    default="auto",
    show_default=True,
    help="Of eBPF programs: raw tracepoints or perf tracepoints; auto takes the one that loses nothing on this kernel.",
)
@click.option("--btf", type=click.Path(path_type=Path), help="Type information, where the kernel has none of its own.")
@click.option("--control", is_flag=True, help="Read commands on standard input: enable, disable, stats, flush, quit.")
@click.option("--check", is_flag=True, help="Only open and load the driver, and say what was found.")
@click.option("--minimal", is_flag=True, help="Load only the programs that --events needs.")
@click.option("--force", is_flag=True, help="Open a probe that was built for another kernel.")
@click.option("--dry-run", "-n", is_flag=True, help="Print the command line of kd-capture and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    driver: str | None,
    event_lists: tuple[str, ...],
    pids: tuple[int, ...],
    comms: tuple[str, ...],
    snaplen: int | None,
    dynamic_snaplen: bool,
    fullcapture_ports: str | None,
    statsd_port: int | None,
    buffer_bytes: int | None,
    duration_s: float | None,
    max_events: int | None,
    enter_time: bool,
    program_type: str,
    btf: Path | None,
    control: bool,
    check: bool,
    minimal: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Open a driver, switch events on, and print one line for each until stopped (Ctrl-C ends it with the counts).

    \b
    Examples:
      kdriver capture                            the installed driver, all events
      kdriver capture --events execve,procexit   who runs what
      kdriver capture --driver kdriver.core.o --comm nginx --events accept4 --json

    A line: time, CPU, thread, event(process), parameters. In JSON: ts (ns since 1970), cpu, tid, type, name, params.
    The counts at the end name what was lost: events dropped in full rings, and runs that the kernel missed (null where
    it cannot count them). Exit status: 0 done, 2 wrong use, 3 no such driver, 7 the kernel refused the driver.
    """
    from kdriver.loader.state import state_from_environment

    installed = state_from_environment().installed()
    chosen = driver or driver_of(installed)
    switches = {
        "dynamic-snaplen": dynamic_snaplen,
        "enter-time": enter_time,
        "control": control,
        "check": check,
        "minimal": minimal,
        "force": force,
    }
    switches["json"] = as_json
    request = CaptureRequest(
        driver=chosen,
        events=event_lists,
        pids=pids,
        comms=comms,
        snaplen=snaplen,
        fullcapture_ports=fullcapture_ports,
        statsd_port=statsd_port,
        buffer_bytes=buffer_bytes,
        duration_s=duration_s or 0,
        max_events=max_events,
        program_type=program_type,
        btf=btf,
        switches=tuple(name for name, on in switches.items() if on),
    )
    argv = plan_capture(find_tool(chosen, installed), request)
    if dry_run:
        click.echo(" ".join(argv))
        return
    if chosen.partition(":")[0] != DriverKind.KMOD and not Path(chosen).exists():
        raise NotFoundError(
            f"{chosen}: no such driver file", hint="Name an eBPF object, or kmod for the loaded module."
        )
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        raise LoadError(
            f"{argv[0]}: cannot be run: {error.strerror}", hint="Allow programs to run from there."
        ) from error
