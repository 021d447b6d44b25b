"""What holds for all tests: which markers need what, and that a full run really ran each kind of test."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fakes.tiny_kernel import BuildSite

# Header trees of the caches that tests make and leave would stay in memory; the test of that says so itself.
os.environ.setdefault("KDRIVER_HEADERS_MEMORY", "0")


class RequiredMarkers:
    """Fails a run in which no test of a required marker passed.

    A run that skips every guest test, because QEMU is missing say, must not look like a run that passed.
    """

    def __init__(self, required: tuple[str, ...]) -> None:
        self.required = required
        self.passed: Counter[str] = Counter()

    def not_passed(self) -> list[str]:
        """The required markers of which no test passed, in the order asked for."""
        return [name for name in self.required if not self.passed[name]]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """With several workers, every report reaches this object in the controller."""
        if report.when == "call" and report.passed:
            self.passed.update(str(value) for key, value in report.user_properties if key == "marker")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a passed run into a failed one; a run that failed already keeps its status."""
        if session.exitstatus == pytest.ExitCode.OK and self.not_passed():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which markers are to blame, above pytest's closing line."""
        for name in self.not_passed():
            terminalreporter.write_line(f"required marker {name}: no test of it passed in this run", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--require-markers qemu,network`."""
    parser.addoption(
        "--require-markers",
        default="",
        metavar="A,B",
        help="fail the run unless at least one test of each of these markers passed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Only the controller of a run with several workers sees all reports; workers count nothing.

    A run in a shell's background has SIGINT ignored, and so would have all that the tests start and then interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    required = tuple(name.strip() for name in str(config.getoption("--require-markers")).split(",") if name.strip())
    if required and not hasattr(config, "workerinput"):
        config.pluginmanager.register(RequiredMarkers(required))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test's markers into its reports, which cross from a worker to the controller."""
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        for name in sorted({marker.name for marker in item.iter_markers()}):
            item.user_properties.append(("marker", name))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildSite]:
    """A mirror with kernels that do not exist, their index and an empty cache; kdriver is led there."""
    from tests.fakes.tiny_kernel import build_site

    with build_site(tmp_path) as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made
