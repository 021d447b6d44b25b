"""Where packages come from: what the user says, then the host's own mirrors, then the public ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, ExitCode
from kdriver.core.kernel import Kernel, Package, PackageRole
from kernel_index.sources import archive_mirrors, override_mirrors, package_urls, read_os_release
from kernel_index.table import load_table, select_rows

ROW = select_rows(load_table(Path(__file__).parents[2] / "kernel_index" / "distros.toml"), "debian12")[0]
MAIN, SECURITY = ROW.archive("main"), ROW.archive("security")
PACKAGE = Package(
    role=PackageRole.HEADERS,
    name="linux-headers-6.12.117+deb12-amd64",
    version="6.12.117-1~deb12u1",
    arch="amd64",
    archive="security",
    path="pool/updates/main/l/linux-6.12/linux-headers-6.12.117+deb12-amd64_6.12.117-1~deb12u1_amd64.deb",
    size_bytes=1,
    sha256="",
)
KERNEL = Kernel("debian", "debian12", "6.12.117+deb12-amd64", "", "", "x86_64", "amd64", (PACKAGE,))


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that ships with kdriver, and no mirror in the environment."""
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    monkeypatch.delenv("KDRIVER_MIRROR", raising=False)


@pytest.mark.parametrize(
    ("value", "main", "security"),
    [
        pytest.param("http://m.example", "http://m.example/debian", "http://m.example/debian-security", id="root"),
        pytest.param(
            "http://m.example/x/debian/", "http://m.example/x/debian", "http://m.example/x/debian-security", id="main"
        ),
        pytest.param(
            "http://m.example/debian-security",
            "http://m.example/debian",
            "http://m.example/debian-security",
            id="security",
        ),
        pytest.param("main=http://m.example/deb", "http://m.example/deb", None, id="one-archive"),
        pytest.param(
            "http://m.example/?a=b", "http://m.example/?a=b/debian", "http://m.example/?a=b/debian-security", id="query"
        ),
    ],
)
def test_a_mirror_is_a_server_a_folder_or_for_one_archive(value: str, main: str, security: str | None) -> None:
    assert override_mirrors(ROW, MAIN, [value]) == (main,)
    assert override_mirrors(ROW, SECURITY, [value]) == ((security,) if security else ())


@pytest.mark.parametrize(
    "value", ["mirror.example", "ftp://mirror.example", "updates=http://m.example/debian", "main="]
)
def test_what_is_no_mirror_is_a_usage_error(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override_mirrors(ROW, MAIN, [value])
    assert value in caught.value.message and caught.value.hint and "--mirror http://" in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_named_mirror_is_the_only_one_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_MIRROR", "http://env.example security=http://two.example/sec")
    assert archive_mirrors(ROW, MAIN, ()) == ("http://env.example/debian",)
    assert archive_mirrors(ROW, SECURITY, ()) == ("http://env.example/debian-security", "http://two.example/sec")
    assert archive_mirrors(ROW, MAIN, ["http://option.example"]) == ("http://option.example/debian",)


def test_the_public_mirrors_are_always_there() -> None:
    assert set(MAIN.mirrors) <= set(archive_mirrors(ROW, MAIN))


def test_addresses_of_a_package_are_quoted() -> None:
    (url,) = package_urls(KERNEL, PACKAGE, ["http://m.example"])
    assert url == (
        "http://m.example/debian-security/pool/updates/main/l/linux-6.12/"
        "linux-headers-6.12.117%2Bdeb12-amd64_6.12.117-1~deb12u1_amd64.deb"
    )


def test_os_release_is_read_with_and_without_quotes(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("# x\nID=debian\nVERSION_ID=\"12\"\nNAME='Debian'\n")
    assert read_os_release([tmp_path / "none", tmp_path / "os-release"]) == {
        "ID": "debian",
        "VERSION_ID": "12",
        "NAME": "Debian",
    }
    assert read_os_release([tmp_path / "none"]) == {}
