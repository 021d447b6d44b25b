"""The container executor: each task in a container of its own, in one image."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdriver.core.process import Completed
from kdriver.executors.container_plan import (
    CLOSED,
    LABEL,
    OWNER_LABEL,
    Limits,
    below_closed,
    container_user,
    is_orphan,
    limits_from,
    owner_of,
    plan_container,
    plan_mounts,
)
from kdriver.executors.engine import Engine, engine_errors
from kdriver.executors.task import StoppedError, Task, ToolMissingError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_NOT_FOUND = 127
_CANNOT_RUN = 126
_KILLED = 137


class ContainerExecutor:
    """Runs tasks in containers of one image. image: its id or name on the engine. libc: of that image.

    Each container is removed when its task ends, however it ends; those of a kdriver that was killed are removed by
    the next one (prune)."""

    def __init__(
        self, engine: Engine, image: str, libc: tuple[int, int] = (0, 0), *, limits: Limits | None = None
    ) -> None:
        self.engine = engine
        self.image = image
        self._libc = libc
        self._limits = limits or limits_from(os.environ)
        self._user = container_user(engine, os.getuid(), os.getgid())
        self._run = uuid.uuid4().hex[:12]
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._client: DockerClient | None = None
        self._running: dict[str, Container] = {}
        self._stopped = False

    def run(self, task: Task) -> Completed:
        """See Executor.run. Raises EngineError when the engine does not do its part."""
        if self._stopped:
            raise StoppedError(f"{task.argv[0]}: was not started: the work was stopped")
        started = time.monotonic()
        task.log.parent.mkdir(parents=True, exist_ok=True)
        with engine_errors(f"{task.argv[0]} in a container of {self.image}"):
            status, timed_out = self._carry_out(task)
        if self._stopped and status != 0:
            raise StoppedError(f"{task.argv[0]}: was stopped")
        return Completed(task.argv, status, time.monotonic() - started, task.log, timed_out)

    def libc(self) -> tuple[int, int]:
        """See Executor.libc."""
        return self._libc

    def stop(self) -> None:
        """See Executor.stop."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running.values())
        for container in running:
            _kill(container)

    def _carry_out(self, task: Task) -> tuple[int, bool]:
        uid, _, gid = self._user.partition(":")
        self._give(task.writes, int(uid), int(gid))
        try:
            with contextlib.ExitStack() as stack:
                return self._carry_out_in(self._create(task, _opened(task, stack)), task)
        finally:
            self._give(task.writes, os.getuid(), os.getgid())

    def _carry_out_in(self, container: Container, task: Task) -> tuple[int, bool]:
        try:
            with self._lock:
                self._running[str(container.id)] = container
                stopped = self._stopped
            if stopped:
                raise StoppedError(f"{task.argv[0]}: was not started: the work was stopped")
            return self._attend(container, task)
        finally:
            with self._lock:
                self._running.pop(str(container.id), None)
            with contextlib.suppress(Exception):  # its label lets the next run remove it
                container.remove(force=True, v=True)

    def _create(self, task: Task, opened: Path | None) -> Container:
        from docker.types import Mount

        labels = {LABEL: self._run, OWNER_LABEL: owner_of(os.getpid())}
        plan: dict[str, Any] = plan_container(
            task, self.image, engine=self.engine, user=self._user, labels=labels, limits=self._limits
        )
        mounts = [
            Mount(str(path), str(path), type="bind", read_only=not writable) for path, writable in plan_mounts(task)
        ]
        if opened is not None:
            mounts.insert(0, Mount(str(CLOSED), str(opened), type="bind", read_only=True))
        return self._connected().containers.create(
            name=f"kdriver-{self._run}-{next(self._count)}", mounts=mounts, **plan
        )

    def _attend(self, container: Container, task: Task) -> tuple[int, bool]:
        """Start, stream what it prints to the log, kill what takes too long; its status and whether it did."""
        from docker.errors import APIError

        late = threading.Event()

        def kill() -> None:
            late.set()
            _kill(container)

        timer = threading.Timer(task.timeout_s, kill)
        timer.daemon = True
        with task.log.open("ab", buffering=0) as log:
            log.write(("$ " + " ".join(task.argv) + "\n").encode())
            try:
                container.start()
            except APIError as error:
                if "executable file not found" in str(error.explanation) or "no such file" in str(error.explanation):
                    raise ToolMissingError(
                        f"{task.argv[0]}: is not in the image {self.image}",
                        hint="Make the image again with: kdriver images build",
                    ) from error
                raise
            timer.start()
            if self._stopped:  # stop() came before there was anything to kill
                _kill(container)
            try:
                for piece in container.logs(stream=True, follow=True, stdout=True, stderr=True):
                    log.write(piece)
                status = int(container.wait()["StatusCode"])
            finally:
                timer.cancel()
            if status == _KILLED and not late.is_set() and not self._stopped:
                log.write(
                    f"kdriver: error: killed; the limit is {self._limits.memory_bytes >> 20} MB of memory\n".encode()
                )
        return status, late.is_set()

    def _give(self, folders: tuple[Path, ...], uid: int, gid: int) -> None:
        """Give what a task writes to a user: before it to the one that it runs as, where that is not the caller, and
        after it back, so that nothing is left behind that belongs to nobody."""
        if os.getuid() != 0:
            return
        for folder in folders:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)

    def _connected(self) -> DockerClient:
        with self._lock:
            if self._client is None:
                self._client = self.engine.connect()
            return self._client


def _opened(task: Task, stack: contextlib.ExitStack) -> Path | None:
    """A folder that stands in for /root, with a place for each mount below it; None when there is none."""
    below = below_closed(task)
    if not below:
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kdriver-root-")))
    folder.chmod(0o755)
    for path in below:
        is_file = (CLOSED / path).is_file()
        (folder / path if not is_file else (folder / path).parent).mkdir(parents=True, exist_ok=True)
        if is_file:
            (folder / path).touch()
    return folder


def prune_containers(client: DockerClient) -> int:
    """Remove containers whose kdriver ended without removing them: was killed, or its machine was. How many."""
    removed = 0
    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        if is_orphan(str(container.labels.get(OWNER_LABEL, ""))):
            with contextlib.suppress(Exception):  # another kdriver was first
                container.remove(force=True, v=True)
                removed += 1
    return removed


def _kill(container: Container) -> None:
    with contextlib.suppress(Exception):  # it has ended, or has not started yet and will not
        container.kill()
