"""Real kernels and hosts, copied from public package lists and reports into tests/fixtures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

_FIXTURES = Path(__file__).parent.parent / "fixtures"


def known_kernels() -> list[dict[str, Any]]:
    """distro, distro_version, release, build (empty where the source does not tell), arch, urls; where known also
    uname_v, and crawler: [target, release, version] as kernel-crawler published it."""
    kernels: list[dict[str, Any]] = json.loads(gzip.decompress((_FIXTURES / "kernels.json.gz").read_bytes()))
    return kernels


def known_hosts() -> list[dict[str, Any]]:
    """id, release, version, arch, os_release, files, and expected: what resolving must say of the host."""
    hosts: list[dict[str, Any]] = json.loads((_FIXTURES / "resolve_hosts.json").read_text())
    return hosts
