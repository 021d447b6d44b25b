"""CI for those who build their own drivers: workflow files for their distributions, and the plan cut into jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError
from kdriver.core.paths import source_dir


class CiService(StrEnum):
    """The services that there are workflow files for."""

    GITHUB = "github"
    GITLAB = "gitlab"


MOST_JOBS = 200
"""GitHub takes 256 jobs of one matrix, GitLab 200 parallel ones."""


@dataclass(frozen=True, slots=True)
class Group:
    """The kernels of one job. kernels: their keys. id: a name for caches that stays the same while the group holds the
    same kernels."""

    id: str
    name: str
    kernels: tuple[str, ...]

    def to_json(self) -> dict[str, str]:
        """A flat object; the keys of the kernels are one text with spaces between, as a shell's loop takes them."""
        return {"id": self.id, "name": self.name, "kernels": " ".join(self.kernels)}


def render_ci(service: CiService, distros: Sequence[str], *, most: int = MOST_JOBS, parallel: int = 4) -> str:
    """The text of the workflow file. distros: rows or families. most: jobs of one matrix. parallel: GitLab's jobs."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(source_dir("templates") / "ci"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(f"{service}.yml.j2").render(
        distros=tuple(distros), title=" and ".join(distros), most=most, parallel=parallel
    )


def group_kernels(plans: Sequence[dict[str, Any]], most: int) -> tuple[Group, ...]:
    """The kernels of `kdriver build --plan --json` of which anything is built, in at most so many groups of neighbours,
    which share headers and modules most."""
    kernels = list(dict.fromkeys(str(plan["kernel"]) for plan in plans if plan["action"] != "skip"))
    if not kernels:
        return ()
    size = -(-len(kernels) // most)
    return tuple(_group(kernels[start : start + size]) for start in range(0, len(kernels), size))


def take_part(groups: Sequence[dict[str, str]], number: int, total: int) -> str:
    """The kernels of every group that the job `number` of `total` does, counted from 1; empty for none."""
    return " ".join(group["kernels"] for group in groups[number - 1 :: total])


def read_list(path: Path, keys: set[str]) -> list[dict[str, Any]]:
    """A JSON list of objects that have these keys. Raises ConfigError."""
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, list) or not all(isinstance(one, dict) and keys <= one.keys() for one in found):
            raise ValueError(f"it is no list of objects with {', '.join(sorted(keys))}")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Name what `kdriver build --plan --json` wrote.") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}", hint="Name what `kdriver build --plan --json` wrote.") from error
    return found


def _group(kernels: list[str]) -> Group:
    first, last = (kernel.split("/")[2] for kernel in (kernels[0], kernels[-1]))
    return Group(
        hashlib.sha256("\0".join(kernels).encode()).hexdigest()[:12],
        first if len(kernels) == 1 else f"{first} to {last} ({len(kernels)})",
        tuple(kernels),
    )
