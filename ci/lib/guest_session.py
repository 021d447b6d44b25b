"""What happens inside the Debian guest: it is /init, and uses nothing but Python's standard library.

Brings the network up, runs each step of /opt/session.json as a person would type it, and writes JSON lines to the
second serial port: {"run": [...], "step": name}, {"out": line}, {"status": n, "seconds": s}; {"end": true} is the last.
Context: process 1 of a guest made by ci/lib/host_guest.py; it never returns.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import threading
import time
import tty
from pathlib import Path
from typing import Any

RESULTS = "/dev/ttyS1"
SESSION = Path("/opt/session.json")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "COLUMNS": "160",
}
POWER_OFF = 0x4321FEDC


class Channel:
    """The second serial port, one JSON object a line."""

    def __init__(self, path: str) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_NOCTTY)
        tty.setraw(self._handle)
        self._lock = threading.Lock()

    def write(self, record: dict[str, Any]) -> None:
        """Write one record whole."""
        line = (json.dumps(record) + "\n").encode()
        with self._lock:
            while line:
                line = line[os.write(self._handle, line) :]


def run_step(channel: Channel, step: dict[str, Any], cwd: str = "/root") -> int:
    """Run one command, its output line by line; `meanwhile` is run again and again until it ends."""
    channel.write({"step": step["name"], "run": step["argv"]})
    started = time.monotonic()
    process = subprocess.Popen(
        step["argv"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        cwd=cwd,
    )
    timer = threading.Timer(step["timeout_s"], process.kill)
    timer.start()
    if step.get("meanwhile"):
        threading.Thread(target=keep_doing, args=(process, step["meanwhile"]), daemon=True).start()
    assert process.stdout is not None
    for line in process.stdout:
        channel.write({"out": line.decode(errors="replace").rstrip("\n")})
    status = process.wait()
    timer.cancel()
    channel.write({"status": status, "seconds": round(time.monotonic() - started, 1)})
    return status


def keep_doing(process: subprocess.Popen[bytes], argv: list[str]) -> None:
    """Something for the driver to see; in the C locale, which opens no files of its own."""
    environment = {**ENVIRONMENT, "LANG": "C"}
    while process.poll() is None:
        subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        time.sleep(0.3)


def main() -> None:
    """Run the session and power off, whatever happened."""
    channel = Channel(RESULTS)
    try:
        for step in json.loads(SESSION.read_text())["steps"]:
            if run_step(channel, step) != 0 and step["needed"]:
                break
        channel.write({"end": True})
    except Exception as error:  # noqa: BLE001  (process 1 must report and power off, whatever it is)
        channel.write({"fault": f"{type(error).__name__}: {error}"})
    os.sync()
    ctypes.CDLL(None).reboot(POWER_OFF)
    time.sleep(60)


if __name__ == "__main__":
    main()
