"""`kdriver verify --gdb` with a real gdb: it attaches, stops where the driver begins to listen, and lets the
guest go on to its verdict."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.conftest import Kdriver

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]


def test_gdb_stops_at_a_symbol_of_the_kernel_and_the_driver_passes(
    kdriver: Kdriver, user_environment: dict[str, str]
) -> None:
    del kdriver  # it has fetched the index
    words = ["verify", "--distro", "debian12", "--kernel", "newest:6.1:cloud-amd64", "--kind", "kmod"]
    verifier = subprocess.Popen(
        [sys.executable, "-m", "kdriver", *words, "--cases", "dup*", "--gdb", "--json"],
        env=user_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert verifier.stderr is not None and verifier.stdout is not None
    told: list[str] = []
    try:
        advice = None
        for line in verifier.stderr:
            told.append(line)
            advice = re.search(r"gdb (\S+) -ex 'target remote (127\.0\.0\.1:\d+)'", line)
            if advice:
                break
        assert advice, "".join(told)
        rest = threading.Thread(target=told.extend, args=(verifier.stderr,))
        rest.start()
        symbols, address = advice.groups()
        assert Path(symbols).is_file()
        steps = [f"target remote {address}", "hbreak tracepoint_probe_register", "continue", "backtrace 1", "detach"]
        argv = ["gdb", "-nx", "-batch", *(word for step in steps for word in ("-ex", step)), symbols]
        debugged = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
        said = f"{debugged.stdout}\n{debugged.stderr}"
        assert re.search(r"\bBreakpoint 1, 0x[0-9a-f]+ in tracepoint_probe_register \(\)$", said, re.M), said
        answer = verifier.stdout.read()
        verifier.wait(timeout=900)
        rest.join()
    finally:
        verifier.kill()
        verifier.wait()
    assert verifier.returncode == 0, "".join(told)
    assert [(row["kind"], row["outcome"]) for row in json.loads(answer)] == [("kmod", "passed")]
