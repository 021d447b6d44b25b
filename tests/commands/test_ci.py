"""Workflow files: valid by the services' own schemas, as they stand in ci/workflows, and the jobs of a plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.ci_files import CiService, group_kernels, render_ci, take_part
from kdriver.cli import run
from kdriver.core.errors import ExitCode

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMAS = {CiService.GITHUB: "vendor.github-workflows", CiService.GITLAB: "vendor.gitlab-ci"}
Capture = pytest.CaptureFixture[str]


def key(number: int) -> str:
    return f"debian/x86_64/6.1.0-{number}-amd64/6.1.{number}-1"


def plans(count: int, action: str = "build") -> list[dict[str, Any]]:
    return [
        {"kernel": key(number), "kind": kind, "action": action} for number in range(count) for kind in ("kmod", "bpf")
    ]


@pytest.mark.parametrize("service", list(CiService))
@pytest.mark.parametrize("distros", [["debian12"], ["centos7", "ubuntu22.04"]], ids=" ".join)
def test_file_is_valid_by_the_services_schema(service: CiService, distros: list[str], tmp_path: Path) -> None:
    file = tmp_path / "workflow.yml"
    words = [word for distro in distros for word in ("--distro", distro)]
    assert run(["ci", "render", "--for", str(service), *words, "--out", str(file)]) == ExitCode.DONE
    transform = ["--data-transform", "gitlab-ci"] if service is CiService.GITLAB else []
    argv = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", SCHEMAS[service], *transform]
    done = subprocess.run([*argv, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = file.read_text()
    assert "{%" not in text and " \n" not in text
    for distro in distros:
        assert f"--distro {distro} --plan --json > plan-{distro}.json" in text
    broken = file.with_name("broken.yml")
    broken.write_text(text.replace("runs-on: ubuntu-latest", "runs_on: x").replace("stage: build", "stage: [1]"))
    assert subprocess.run([*argv, str(broken)], capture_output=True).returncode != 0, "the schema judges nothing"


@pytest.mark.parametrize("service", list(CiService))
def test_ready_file_is_what_would_be_rendered(service: CiService) -> None:
    assert (ROOT / "ci/workflows" / f"{service}.yml").read_text() == render_ci(service, ["debian12"])


@pytest.mark.parametrize("service", list(CiService))
def test_private_keys_are_removed_also_when_publishing_fails(service: CiService) -> None:
    text = render_ci(service, ["debian12"])
    if service is CiService.GITHUB:
        assert text.index("trap 'rm -rf keys' EXIT") < text.index("tar xz\n"), "from before they are there"
    else:
        assert "  after_script:\n    - rm -rf keys\n" in text
    assert text.count("rm -rf keys") == 1


@pytest.mark.parametrize("service", list(CiService))
def test_every_command_of_a_file_exists_with_its_options(service: CiService, capsys: Capture) -> None:
    text = render_ci(service, ["debian12"])
    lines = [
        line.split("kdriver ", 1)[1] for line in text.splitlines() if "kdriver " in line and not line.startswith("#")
    ]
    names = ("index update", "ci matrix", "repo init", "repo check", "build", "verify", "publish")
    found = [(name, line) for line in lines for name in names if line.startswith(f"{name} ")]
    assert {name for name, _ in found} == set(names)
    for name, line in found:
        assert run([*name.split(), "--help"]) == ExitCode.DONE
        said = capsys.readouterr().out
        words = [
            word for word in line.split(" > ")[0].replace("'", " ").split() if word.startswith("--") and word != "--"
        ]
        assert [word for word in words if word not in said] == [], (name, line)


def test_kernels_are_cut_into_at_most_so_many_groups_and_none_is_lost() -> None:
    groups = group_kernels(plans(23), 10)
    assert len(groups) == 8
    assert [kernel for group in groups for kernel in group.kernels] == [key(number) for number in range(23)]
    assert groups[0].name == "6.1.0-0-amd64 to 6.1.0-2-amd64 (3)"
    assert len({group.id for group in groups}) == 8
    assert group_kernels(plans(3, "skip"), 10) == ()
    assert [group.name for group in group_kernels(plans(1), 10)] == ["6.1.0-0-amd64"]


def test_parts_are_all_of_the_groups() -> None:
    groups = [group.to_json() for group in group_kernels(plans(23), 10)]
    parts = [take_part(groups, number, 3).split() for number in (1, 2, 3)]
    assert sorted(kernel for part in parts for kernel in part) == sorted(key(number) for number in range(23))
    assert take_part(groups[:1], 2, 3) == ""


def test_matrix_of_plans_is_one_line_that_a_part_is_taken_of(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.json").write_text(json.dumps(plans(3)))
    (tmp_path / "b.json").write_text(json.dumps([{"kernel": "rhel/x86_64/r/1", "kind": "kmod", "action": "build"}]))
    assert run(["ci", "matrix", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == ExitCode.DONE
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert [group["kernels"] for group in json.loads(line)] == [key(0), key(1), key(2), "rhel/x86_64/r/1"]
    (tmp_path / "groups.json").write_text(line)
    assert run(["ci", "matrix", "--groups", str(tmp_path / "groups.json"), "--part", "2/2"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"{key(1)} rhel/x86_64/r/1\n"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["ci", "matrix"], ExitCode.USAGE),
        (["ci", "matrix", "--groups", "x", "--part", "3/2"], ExitCode.USAGE),
        (["ci", "matrix", "no-such-plan.json"], ExitCode.USAGE),
        (["ci", "render", "--for", "github", "--distro", "debian77"], ExitCode.NOT_FOUND),
    ],
)
def test_bad_words_are_refused(words: list[str], status: ExitCode) -> None:
    assert run(words) == status
