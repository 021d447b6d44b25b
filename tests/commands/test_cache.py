"""`kdriver cache` from its command line, and the limit that a build keeps."""

from __future__ import annotations

import json

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

Capture = pytest.CaptureFixture[str]


def build(kernel: str) -> None:
    assert run(["build", "--kernel", kernel, "--kind", "kmod", "--driver-src", str(TOY_DRIVER)]) == ExitCode.DONE


def test_cache_is_shown_pruned_and_made_again(site: BuildSite, capsys: Capture) -> None:
    kernel = site.add().release
    build(kernel)
    capsys.readouterr()
    assert run(["cache", "show", "--json"]) == ExitCode.DONE
    shown = json.loads(capsys.readouterr().out)
    stores = {one["store"]: one["items"] for one in shown["stores"]}
    assert stores["headers"] == stores["artifacts"] == 1
    assert stores["downloads"] == 3
    assert shown["size_bytes"] == sum(one["size_bytes"] for one in shown["stores"])
    assert run(["cache", "prune", "--max-size", "0", "--dry-run"]) == ExitCode.DONE
    assert capsys.readouterr().out.splitlines()[-1].startswith("would free ")
    assert site.artifacts()
    assert run(["cache", "prune", "--max-size", "0"]) == ExitCode.DONE
    assert not site.artifacts()
    assert run(["cache", "show"]) == ExitCode.DONE
    assert "0 B of 50.0 GB" in capsys.readouterr().out
    build(kernel)
    assert site.artifacts()


def test_build_keeps_the_limit_and_what_it_used_itself(
    site: BuildSite, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    first = site.add()
    second = site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1"))
    build(first.release)
    (old,) = (site.cache / "headers").glob("[!.]*")
    monkeypatch.setenv("KDRIVER_CACHE_LIMIT", "1k")
    build(second.release)
    left = list((site.cache / "headers").glob("[!.]*"))
    assert len(left) == 1 and old not in left
    (artifact,) = (path for path in site.artifacts() if path.suffix == ".ko")
    record = json.loads(artifact.with_name("record.json").read_text())
    assert record["kernel"] == second.key


@pytest.mark.parametrize("words", [["--max-size", "many"], ["--max-age", "soon"]])
def test_bad_words_are_refused(words: list[str], site: BuildSite, capsys: Capture) -> None:
    assert run(["cache", "prune", *words]) == ExitCode.USAGE
    assert words[1] in capsys.readouterr().err
