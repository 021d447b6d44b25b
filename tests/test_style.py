"""The house style, as far as a program can judge it: other people's checkers, and a few rules of our own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

VERSION_TEST = re.compile(r"^\s*#\s*(if|elif)\b.*\b(LINUX_VERSION_CODE|KERNEL_VERSION|RHEL_RELEASE_CODE|RHEL_MAJOR)\b")
MAY_TEST_VERSIONS = ("driver_src/kmod/compat/", "driver_src/common/kd_kernel.h")
VAGUE_NAMES = {"data", "info", "util", "utils", "helper", "helpers", "manager", "misc"}
# Put together here, so that this file does not name them itself.
PRIVATE_PATHS = ("/" + "work/", "/" + "root/")


def _project_files() -> list[str]:
    """Every file of the checkout that git knows or would add, relative to its top."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())


FILES = _project_files()


def _check(*argv: str | Path) -> None:
    """Run a checker at the top of the checkout; its complaints are the test's failure."""
    done = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def _is_shell_script(name: str) -> bool:
    with (ROOT / name).open("rb") as file:
        return re.match(rb"#!.*\b(ba|da)?sh\b", file.readline(100)) is not None


def test_ruff_finds_nothing() -> None:
    _check(BIN / "ruff", "check", ".")


def test_python_is_formatted() -> None:
    _check(BIN / "ruff", "format", "--check", ".")


def test_types_hold_strictly() -> None:
    _check(BIN / "mypy")


def test_imports_point_one_way() -> None:
    _check(BIN / "lint-imports")


def test_shell_scripts_pass_shellcheck() -> None:
    scripts = [name for name in FILES if _is_shell_script(name)]
    assert "ci/test" in scripts
    _check("shellcheck", *scripts)


def test_c_is_formatted() -> None:
    sources = [name for name in FILES if name.startswith("driver_src/") and name.endswith((".c", ".h"))]
    assert sources
    _check("clang-format-16", "--dry-run", "-Werror", *sources)


def test_c_files_open_with_their_licence() -> None:
    sources = [name for name in FILES if name.startswith("driver_src/") and name.endswith((".c", ".h"))]
    bare = [name for name in sources if "SPDX-License-Identifier:" not in _first_line(name)]
    assert not bare, f"the first line is no SPDX line: {bare}"


def _first_line(name: str) -> str:
    return (ROOT / name).read_text().split("\n", 1)[0]


@pytest.mark.parametrize("name", [name for name in FILES if Path(name).name == "__init__.py"])
def test_package_file_holds_only_a_docstring(name: str) -> None:
    body = ast.parse((ROOT / name).read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)
    assert isinstance(body[0].value, ast.Constant)
    assert isinstance(body[0].value.value, str)


def test_kernel_versions_are_tested_in_compat_only() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in FILES
        if name.startswith(("driver_src/", "templates/")) and not name.startswith(MAY_TEST_VERSIONS)
        if name.endswith((".c", ".h", ".j2"))
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if VERSION_TEST.match(line)
    ]
    assert not found, "use a compile probe, or a kd_ name of driver_src/kmod/compat:\n" + "\n".join(found)


def test_modules_have_speaking_names() -> None:
    vague = [name for name in FILES if Path(name).suffix in {".py", ".c", ".h"} and Path(name).stem in VAGUE_NAMES]
    assert not vague


def test_no_file_names_a_private_folder() -> None:
    found = []
    for name in FILES:
        content = (ROOT / name).read_bytes()
        found += [f"{name}: {path}" for path in PRIVATE_PATHS if b"\0" not in content and path.encode() in content]
    assert not found
