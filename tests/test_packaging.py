"""The wheel and the source archive: built from a copy of the checkout, installed elsewhere, run from `/`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def _copy_of_the_checkout(into: Path) -> Path:
    """What git knows or would add, links kept as links: building leaves nothing in the checkout."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, done.stdout.split("\0")):
        source, target = ROOT / name, into / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return into


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel that was built from that archive."""
    out = tmp_path_factory.mktemp("archives")
    source = _copy_of_the_checkout(tmp_path_factory.mktemp("checkout"))
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return out


@pytest.fixture(scope="module")
def installed(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its requirements come from this environment by a path file.

    A path file does not carry on to this environment's own path files, so the editable kdriver stays out.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    wheel = next(archives.glob("*.whl"))
    options = ["-q", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *options, wheel], check=True, timeout=120)
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    (Path(site) / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def _run_installed(installed: Path, *argv: str) -> str:
    done = subprocess.run(
        [installed / "bin" / argv[0], *argv[1:]],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _shipped_files() -> list[str]:
    """Every file of the two folders that ship as data, as it is called inside the package."""
    return sorted(
        f"kdriver/{path.relative_to(ROOT)}"
        for folder in ("driver_src", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def test_wheel_holds_the_data_as_files(archives: Path) -> None:
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert "kdriver/driver_src/driver.toml" in names
    assert not [name for name in _shipped_files() if name not in names]
    assert "kernel_index/distros.toml" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_wheel_holds_both_licences(archives: Path) -> None:
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        licences = sorted(name.split("/licenses/")[1] for name in wheel.namelist() if "/licenses/" in name)
    assert licences == ["LICENSE", "driver_src/LICENSE"]


def test_source_archive_holds_the_data_as_files(archives: Path) -> None:
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        members = {member.name.split("/", 1)[1]: member for member in archive if "/" in member.name}
    missing = [name for name in _shipped_files() if name not in members or not members[name].isreg()]
    assert not missing


def test_installed_command_runs_from_anywhere(installed: Path) -> None:
    assert "Commands:" in _run_installed(installed, "kdriver", "--help")
    where = _run_installed(installed, "python", "-c", "import kdriver; print(kdriver.__file__)")
    assert where.startswith(str(installed))


def test_installed_command_finds_the_catalogue(installed: Path) -> None:
    events = json.loads(_run_installed(installed, "kdriver", "events", "list", "--json"))
    assert "openat" in {event["name"] for event in events}
