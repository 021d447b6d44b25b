"""The container engine of this machine: dockerd or podman's API service, found by its socket.

Both speak the docker Engine API, so one client serves (the docker SDK, imported here only).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdriver.core.errors import ConfigError, KdriverError

if TYPE_CHECKING:
    from docker import DockerClient

ENGINE_VARIABLE = "KDRIVER_ENGINE"
_DOCKER_VARIABLE = "DOCKER_HOST"
_PING_S = 5
_CALL_S = 3600
"""No single answer of an engine takes longer: a build of an image, or a line of a task's log."""


class EngineError(KdriverError):
    """The container engine is not there, or did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered. url: `unix:///run/docker.sock`. name: docker or podman. version: its own.
    rootless: it runs as a plain user, who is root in its containers."""

    url: str
    name: str
    version: str
    rootless: bool

    def __str__(self) -> str:
        return f"{self.name} {self.version} at {self.url}"

    def connect(self) -> DockerClient:
        """A client for use from several threads."""
        import docker

        return docker.DockerClient(base_url=self.url, timeout=_CALL_S, max_pool_size=64)


def engine_urls(env: Mapping[str, str], home: Path) -> tuple[str, ...]:
    """The addresses to try, in order. What KDRIVER_ENGINE or else DOCKER_HOST names is the only one."""
    for variable in (ENGINE_VARIABLE, _DOCKER_VARIABLE):
        if env.get(variable):
            named = env[variable]
            return (named if "://" in named else f"unix://{named}",)
    runtime = env.get("XDG_RUNTIME_DIR")
    sockets = [Path("/run/docker.sock"), Path("/var/run/docker.sock")]
    sockets += [Path(runtime) / "docker.sock"] if runtime else []
    sockets += [home / ".docker/run/docker.sock", Path("/run/podman/podman.sock")]
    sockets += [Path(runtime) / "podman/podman.sock"] if runtime else []
    return tuple(f"unix://{socket}" for socket in sockets)


def find_engine() -> Engine | None:
    """The engine that KDRIVER_ENGINE or DOCKER_HOST names, else the first that answers on a usual socket; None when
    there is none. Raises EngineError when the one that was named does not answer, ConfigError when it is on another
    machine: what a container reads and writes is mounted from this one."""
    named = os.environ.get(ENGINE_VARIABLE) or os.environ.get(_DOCKER_VARIABLE)
    for url in engine_urls(os.environ, Path.home()):
        if not url.startswith("unix://"):
            raise ConfigError(
                f"container engine {url}: it must be on this machine, for files are mounted into its containers",
                hint=f"Name a socket in {ENGINE_VARIABLE}, such as unix:///run/docker.sock.",
            )
        if named or Path(url.removeprefix("unix://")).exists():
            try:
                return _ask(url)
            except EngineError:
                if named:
                    raise
    return None


def require_engine() -> Engine:
    """The engine of this machine. Raises EngineError with what to do when there is none."""
    engine = find_engine()
    if engine is None:
        raise EngineError(
            "no container engine answers on this machine (docker, podman)",
            hint=f"Start dockerd or `podman system service`, or name its socket in {ENGINE_VARIABLE}.",
        )
    return engine


def _ask(url: str) -> Engine:
    """What an engine says of itself."""
    import docker

    with engine_errors(f"container engine {url}"):
        client = docker.DockerClient(base_url=url, timeout=_PING_S)
        try:
            version = client.version()
            about = client.info()
        finally:
            client.close()
    components = [str(one.get("Name", "")) for one in version.get("Components") or ()]
    name = "podman" if any("podman" in one.lower() for one in components) else "docker"
    options = [str(one) for one in about.get("SecurityOptions") or ()]
    rootless = bool(about.get("Rootless")) or any("rootless" in one for one in options)
    return Engine(url, name, str(version.get("Version", "")), rootless)


@contextlib.contextmanager
def engine_errors(subject: str) -> Iterator[None]:
    """What the client raises in the block, as one EngineError about `subject`."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise EngineError(f"{subject}: the engine has no such image", hint="See: kdriver images list") from error
    except docker.errors.APIError as error:
        raise EngineError(f"{subject}: {_one_line(str(error.explanation or error))}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(
            f"{subject}: {_one_line(str(error))}", hint="Check that the engine runs and that you may use its socket."
        ) from error


def _one_line(text: str) -> str:
    """The client's nested messages, without the repetition that requests makes of them."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."
