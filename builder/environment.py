"""The environment that compilers run in: whole, so that a build does not depend on who started it."""

from __future__ import annotations

import os

_CARRIED = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")


def build_environment() -> dict[str, str]:
    """Fixed language, time zone and build stamps; of the caller's only what says where programs are."""
    carried = {name: os.environ[name] for name in _CARRIED if name in os.environ}
    return {
        "PATH": os.defpath,
        **carried,
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": "/nonexistent",
        "SOURCE_DATE_EPOCH": "0",
        "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
        "KBUILD_BUILD_USER": "kdriver",
        "KBUILD_BUILD_HOST": "kdriver",
    }
