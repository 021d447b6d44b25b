"""A batch's results as JUnit XML, which most CI servers show: a suite for each kernel, a case for each driver kind.

Format: what Jenkins and GitLab read (testsuites, testsuite, testcase; failure, error, skipped, system-out).
What the driver or its kernel is to blame for is a failure; what the machine or the network is to blame for, an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from builder.failure import Failure
from builder.result import BuildOutcome, BuildResult

_OF_THE_SITE = {str(one) for one in (Failure.DOWNLOAD, Failure.INTEGRITY, Failure.WORKER, Failure.SYSTEM, Failure.BUG)}
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(results: Sequence[BuildResult], path: Path) -> None:
    """Write the document; the folder is made where it is missing. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.indent(root := junit(results))
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def junit(results: Sequence[BuildResult]) -> ElementTree.Element:
    """The document's root. Kernels are in the order of the results."""
    root = ElementTree.Element("testsuites", {"name": "kdriver build", **_counts(results)})
    by_kernel: dict[str, list[BuildResult]] = {}
    for result in results:
        by_kernel.setdefault(result.kernel, []).append(result)
    for kernel, mine in by_kernel.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": kernel, **_counts(mine)})
        for result in mine:
            suite.append(_case(result))
    return root


def _case(result: BuildResult) -> ElementTree.Element:
    attributes = {"classname": result.kernel, "name": str(result.kind), "time": f"{result.seconds:.2f}"}
    case = ElementTree.Element("testcase", attributes)
    said = _clean("\n".join(part for part in (result.reason, result.detail, result.hint, _log(result)) if part))
    if result.outcome is BuildOutcome.FAILED:
        tag = "error" if result.failure in _OF_THE_SITE else "failure"
        blame = ElementTree.SubElement(case, tag, {"type": result.failure, "message": _clean(result.reason)})
        blame.text = said
    elif result.outcome is BuildOutcome.SKIPPED:
        ElementTree.SubElement(case, "skipped", {"message": _clean(result.reason)})
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(f"{result.outcome}: {result.artifact}")
    return case


def _counts(results: Sequence[BuildResult]) -> dict[str, str]:
    failed = [result for result in results if result.outcome is BuildOutcome.FAILED]
    errors = [result for result in failed if result.failure in _OF_THE_SITE]
    return {
        "tests": str(len(results)),
        "failures": str(len(failed) - len(errors)),
        "errors": str(len(errors)),
        "skipped": str(sum(result.outcome is BuildOutcome.SKIPPED for result in results)),
        "time": f"{sum(result.seconds for result in results):.2f}",
    }


def _log(result: BuildResult) -> str:
    return f"log: {result.log}" if result.log else ""


def _clean(text: str) -> str:
    """Without characters that XML cannot hold; a compiler's log may have any."""
    return _NO_XML.sub("?", text)
