"""The documents: finished, their links lead somewhere, and the commands that they show exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from kdriver import cli
from kernel_index.table import load_table

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND_LINE = re.compile(r"^\s*(?:[$#] )?(?:[A-Z_]+=\S+ )*(kdriver .*)$")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|TBD)\b")


def _page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _command_lines(page: Path) -> list[str]:
    """Each `kdriver ...` line of the page's code blocks, continuation lines joined."""
    text = page.read_text()
    indented = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    blocks = [*FENCE.findall(text), indented]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [match[1].split("  #")[0] for line in lines if (match := COMMAND_LINE.match(line))]


def _complaint(line: str) -> str | None:
    """What is wrong with a command line, judged by the commands themselves."""
    words = shlex.split(line)[1:]
    command: click.Command = cli.cli
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"no command {words[0]}"
        command = found
        words.pop(0)
    known = {name for param in command.params if isinstance(param, click.Option) for name in param.opts}
    known |= {name for param in command.params if isinstance(param, click.Option) for name in param.secondary_opts}
    unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in known | {"--help", "-h"}]
    return f"no option {unknown}" if unknown else None


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"} <= {
        _page_id(page) for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_page_is_finished(page: Path) -> None:
    unfinished = [line for line in page.read_text().splitlines() if UNFINISHED.search(line)]
    assert not unfinished


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_commands_shown_exist_with_their_options(page: Path) -> None:
    complaints = [f"{line}: {fault}" for line in _command_lines(page) if (fault := _complaint(line))]
    assert not complaints


def test_the_check_of_command_lines_finds_faults() -> None:
    assert _complaint("kdriver build --distro debian12") is None
    assert _complaint("kdriver bild") == "no command bild"
    assert _complaint("kdriver build --distribution debian12") == "no option ['--distribution']"


def test_readme_opens_with_the_two_commands() -> None:
    opening = FENCE.search((ROOT / "README.md").read_text())
    assert opening is not None
    assert [line.split()[0] for line in opening[1].splitlines() if line.strip()] == ["ci/quickstart", "ci/test"]


def test_readme_names_every_distribution_of_the_table() -> None:
    rows = load_table(ROOT / "kernel_index" / "distros.toml")
    text = (ROOT / "README.md").read_text()
    assert rows
    assert not [row.id for row in rows if f"`{row.id}`" not in text]


def test_changelog_names_the_version() -> None:
    version = tomllib.loads((ROOT / "driver_src" / "driver.toml").read_text())["version"]
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{version}]" in text


def test_pages_that_the_code_names_exist() -> None:
    # `rpm docs/manual/...` is a page of rpm's.
    argv = ["git", "grep", "-IhoP", r"(?<![\w/.-])(?<!rpm )docs/[a-z0-9/_-]+\.md", "--", ":!tests"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    named = set(done.stdout.split())
    assert "docs/architecture.md" in named
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
