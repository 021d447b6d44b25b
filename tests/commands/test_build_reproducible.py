"""`kdriver build --check-reproducible`: a second build elsewhere, what differs in it, and a build that tells."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from builder.reproduce import plan_circumstances
from kdriver.cli import run
from kdriver.core.errors import ExitCode
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite, TinyKernel

Capture = pytest.CaptureFixture[str]


def check(*words: str, source: Path = TOY_DRIVER) -> int:
    return run(["build", "--distro", "debian12", "--driver-src", str(source), "--check-reproducible", "--json", *words])


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def test_two_builds_of_every_kind_are_identical(site: BuildSite, capsys: Capture) -> None:
    site.add()
    site.add(TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1"))
    assert check() == ExitCode.DONE
    assert [one["reproduced"] for one in results(capsys)] == ["identical"] * 6


@pytest.mark.root
def test_second_build_has_another_user_host_folder_and_umask(site: BuildSite, capsys: Capture) -> None:
    site.add()
    source = site.driver_source()
    seen = site.folder / "seen"
    seen.touch()
    seen.chmod(0o666)
    with (source / "kmod/Kbuild").open("a") as kbuild:
        kbuild.write(f'$(shell echo "$$(id -u) $$(hostname) $$(umask) $(M) $(objtree)" >> {seen})\n')
    before = os.umask(0o027)
    try:
        assert check("--kind", "kmod", source=source) == ExitCode.DONE
    finally:
        os.umask(before)
    first, second = (line.split() for line in dict.fromkeys(seen.read_text().splitlines()))
    assert first[0] == "0" and second[0] == "65534"
    assert first[1] != second[1] == "kdriver-elsewhere"
    assert (first[2], second[2]) == ("0027", "0077")
    assert first[3] != second[3]
    assert first[4] != second[4]


def test_host_name_in_a_file_is_found_and_its_section_named(site: BuildSite, capsys: Capture) -> None:
    site.add()
    source = site.driver_source()
    with (source / "kmod/toy.c").open("a") as code:
        code.write("MODULE_INFO(built_on, KD_HOST);\n")
    with (source / "kmod/Kbuild").open("a") as kbuild:
        kbuild.write("ccflags-y += -DKD_HOST='\"$(shell hostname)\"'\n")
    assert check("--kind", "kmod", source=source) == ExitCode.BUILD
    (one,) = results(capsys)
    assert (one["outcome"], one["failure"], one["reproduced"]) == ("failed", "check", "different")
    assert one["reason"].startswith("check: not reproducible: .modinfo: ")
    assert "built_on=kdriver-elsewhere" in one["reason"]
    assert "host name" in one["hint"]
    (kept,) = (site.cache / "logs").rglob("*.again")
    assert b"built_on=kdriver-elsewhere" in kept.read_bytes()


def test_options_that_say_how_to_build_reach_the_second_build(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    kernel = site.add()
    monkeypatch.chdir(tmp_path)
    site.driver_source()
    words = ["build", "--kernel", kernel.release, "--kind", "kmod", "--driver-src", "toy_driver", "--name", "toy_two"]
    assert run([*words, "--check-reproducible", "--json", "--out", "out"]) == ExitCode.DONE
    assert [one["reproduced"] for one in results(capsys)] == ["identical"]


def test_kernel_from_outside_the_index_is_built_twice_by_its_headers(
    site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    TinyKernel().packages(tmp_path / "given")
    headers = [word for path in sorted((tmp_path / "given/debian/pool").iterdir()) for word in ("--headers", str(path))]
    words = ["build", *headers, "--kind", "kmod", "--driver-src", str(TOY_DRIVER), "--check-reproducible", "--json"]
    assert run(words) == ExitCode.DONE
    assert [one["reproduced"] for one in results(capsys)] == ["identical"]


def test_second_build_takes_nothing_out_of_the_downloads_that_it_shares(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    site.add()
    old = site.cache / "downloads/ab/old.deb"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(10))
    os.utime(old, (1, 1))
    monkeypatch.setattr("builder.run.prune", lambda *given, **named: None)
    monkeypatch.setenv("KDRIVER_CACHE_LIMIT", "1")
    assert check("--kind", "kmod") == ExitCode.DONE
    assert old.is_file(), "the first build is told here to leave it; the second one is another process"


def test_a_cluster_would_hand_out_the_same_file_twice(site: BuildSite, capsys: Capture) -> None:
    site.add()
    assert check("--executor", "cluster", "--scheduler", "tcp://127.0.0.1:1") == ExitCode.USAGE
    assert "compares builds of this machine" in capsys.readouterr().err


def test_without_root_neither_host_nor_user_is_promised(tmp_path: Path) -> None:
    poor = plan_circumstances(tmp_path, namespaces=False, other_user=False, umask=0o077)
    assert poor.differs == ("folder", "cache", "time", "time zone", "locale", "umask")
    assert poor.prefix[-1] == "0022", "the caller's own umask would be no other one"
    rich = plan_circumstances(tmp_path, namespaces=True, other_user=True, umask=0o022)
    assert rich.prefix[:2] == ("unshare", "--uts")
    assert rich.differs[-2:] == ("host name", "user")
    mapped = plan_circumstances(tmp_path, namespaces=True, other_user=False, umask=0o022)
    assert mapped.prefix[:4] == ("unshare", "--uts", "--user", "--map-root-user")
