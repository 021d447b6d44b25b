"""The check programs of a foreign driver: built on this machine by the commands of its [check], kept by content."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from builder.failure import Failure, StepError
from builder.foreign import expand
from builder.kinds.step import Workplace
from builder.source import FOREIGN, DriverSource, copy_foreign, digest_foreign
from builder.toolchain import Compiler, find_gccs, find_llvm, load_table
from kdriver.core.errors import ConfigError
from kdriver.core.paths import cache_dir
from kdriver.executors.local import LocalExecutor
from kdriver.executors.task import Executor
from kdriver.inspect.elf import is_static

_LAYOUT = "1"


def build_check(source: DriverSource, *, executor: Executor | None = None) -> tuple[Path, ...]:
    """The files that a guest gets in /check, in the order of driver.toml; empty where it names none.

    Raises StepError when a command fails or makes no such file, ConfigError for a program that a guest, which has no
    libraries, cannot start, and for two files of one name.
    """
    driver = source.foreign
    if driver is None or not driver.check_files:
        return ()
    gccs = find_gccs()
    names = Counter(Path(name).name for name in driver.check_files)
    twice = next((name for name, count in names.items() if count > 1), "")
    if twice:
        raise ConfigError(
            f"driver.toml: check.files names two files called {twice}; all stand in /check of the guest",
            hint="Give each file of check.files a name of its own.",
        )
    if driver.check_commands and not gccs:
        raise StepError(Failure.TOOLCHAIN, "no gcc is installed", hint="apt-get install gcc make")
    compiler = gccs[-1] if gccs else Compiler("gcc", (0, 0), "no gcc")
    parts = [_LAYOUT, digest_foreign(source.folder), driver.check_commands, driver.check_files, compiler.text]
    store = cache_dir() / "tools"
    home = store / f"check-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"
    if not home.is_dir():
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".check-", dir=store) as scratch:
            made = _make(source, Path(scratch), compiler, executor or LocalExecutor())
            if not home.exists():
                made.rename(home)
    files = tuple(home / Path(name).name for name in driver.check_files)
    for file in files:
        if not is_static(file):
            raise ConfigError(
                f"{file.name}: is linked to shared libraries, which a guest does not have",
                hint="Link the check program with -static.",
            )
    return files


def _make(source: DriverSource, root: Path, compiler: Compiler, executor: Executor) -> Path:
    driver = source.foreign
    assert driver is not None
    copy_foreign(source.folder, root / FOREIGN)
    log = cache_dir() / "logs" / "tools" / f"check-{driver.name}.log"
    log.unlink(missing_ok=True)
    work = Workplace(root, log, executor, compiler.text)
    values = {"name": driver.name, "version": driver.version, "source": str(root / FOREIGN), "cc": compiler.path}
    if any("{clang}" in word for command in driver.check_commands for word in command):
        values["clang"] = find_llvm(load_table().clangs[0]).clang.path
    for command in driver.check_commands:
        work.run(list(expand(command, values)), cwd=root / FOREIGN)
    made = root / "made"
    made.mkdir(mode=0o755)
    for name in driver.check_files:
        if not (root / FOREIGN / name).is_file():
            raise StepError(
                Failure.COMPILE,
                f"the commands of [check] made no {name}",
                hint="Name under check.files what stands in the folder or what check.commands make.",
                log=log if driver.check_commands else None,
            )
        shutil.copy(root / FOREIGN / name, made / Path(name).name)
    return made
