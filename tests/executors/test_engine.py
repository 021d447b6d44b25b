"""The engine is found by what is named, else on the usual sockets; what does not answer is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, ExitCode
from kdriver.executors.engine import EngineError, engine_urls, find_engine, require_engine

HOME = Path("/home/somebody")


def test_what_is_named_is_the_only_one_asked() -> None:
    env = {"KDRIVER_ENGINE": "unix:///a.sock", "DOCKER_HOST": "unix:///b.sock", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert engine_urls(env, HOME) == ("unix:///a.sock",)
    del env["KDRIVER_ENGINE"]
    assert engine_urls(env, HOME) == ("unix:///b.sock",)
    assert engine_urls({"KDRIVER_ENGINE": "/run/c.sock"}, HOME) == ("unix:///run/c.sock",)


def test_usual_sockets_are_tried_dockers_first() -> None:
    found = engine_urls({"XDG_RUNTIME_DIR": "/run/user/1000"}, HOME)
    assert found == (
        "unix:///run/docker.sock",
        "unix:///var/run/docker.sock",
        "unix:///run/user/1000/docker.sock",
        "unix:///home/somebody/.docker/run/docker.sock",
        "unix:///run/podman/podman.sock",
        "unix:///run/user/1000/podman/podman.sock",
    )


def test_a_named_engine_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_ENGINE", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(EngineError, match=f"container engine unix://{tmp_path}/nothing.sock: ") as caught:
        find_engine()
    assert "\n" not in caught.value.message
    assert caught.value.hint == "Check that the engine runs and that you may use its socket."
    assert caught.value.exit_code is ExitCode.SOME_FAILED


def test_an_engine_on_another_machine_cannot_mount_files_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_ENGINE", "tcp://build.example:2375")
    with pytest.raises(ConfigError, match=r"tcp://build\.example:2375: it must be on this machine"):
        require_engine()
