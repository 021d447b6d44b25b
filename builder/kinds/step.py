"""What all kinds share: where a build works, and running one command of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.environment import build_environment
from builder.failure import Failure, StepError, class_of, first_error, relevant_lines
from kdriver.executors.task import Executor, Task

TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where one build works. root: a folder of its own, with the driver source's folders and `gen` in it.
    log: what the commands print. hidden: other folders whose paths only lengthen a message."""

    root: Path
    log: Path
    executor: Executor
    toolchain: str
    hidden: tuple[Path, ...] = ()

    def run(self, argv: list[str], *, reads: tuple[Path, ...] = (), cwd: Path | None = None) -> None:
        """Run one command in the workplace, or in a folder of it (cwd). Raises StepError (compile, link or
        symbol) with the first error that it printed."""
        completed = self.executor.run(
            Task(
                argv=tuple(argv),
                cwd=cwd or self.root,
                log=self.log,
                timeout_s=TIMEOUT_S,
                reads=reads,
                writes=(self.root,),
                env=build_environment(),
                toolchain=self.toolchain,
            )
        )
        if completed.timed_out:
            raise StepError(Failure.COMPILE, f"{Path(argv[0]).name} did not end within {TIMEOUT_S:.0f} s", log=self.log)
        if not completed.ok:
            printed = self.log.read_text(errors="replace")
            fact = self.shorten(first_error(printed)) or f"{Path(argv[0]).name} ended with status {completed.status}"
            detail = self.shorten(relevant_lines(printed))
            raise StepError(class_of(printed), fact, log=self.log, detail=detail, status=completed.status)

    def shorten(self, text: str) -> str:
        """Text of a log without the path of the workplace, which is gone when a person reads it."""
        for folder in (self.root, *self.hidden):
            text = text.replace(f"{folder}/", "")
        return text


def only_source(folder: Path) -> Path:
    """The one C file of a folder of the driver source, which becomes an object. Raises StepError (compile)."""
    found = sorted(folder.glob("*.c"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise StepError(Failure.COMPILE, f"exactly one C file was expected in {folder.name}/, found {names}")
    return found[0]
