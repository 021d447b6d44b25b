"""The mirrors of the host's own apt, in both forms of its sources."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kernel_index.apt.host import host_mirrors, read_apt_sources
from kernel_index.table import load_table, select_rows

ROW = select_rows(load_table(Path(__file__).parents[3] / "kernel_index" / "distros.toml"), "debian12")[0]
BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm"}

DEB822 = """\
Types: deb
# http://snapshot.example/archive
URIs: http://mirror.corp.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.corp.example/debian-security
Suites: bookworm-security
Components: main contrib
"""


def apt_folder(tmp_path: Path, files: dict[str, str]) -> Path:
    """An /etc/apt with those files."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def mirrors(tmp_path: Path, files: dict[str, str], os_release: dict[str, str] = BOOKWORM) -> dict[str, tuple[str, ...]]:
    """What a host with those files uses for Debian 12."""
    return host_mirrors(ROW, os_release, apt_folder=apt_folder(tmp_path, files))


def test_deb822_sources_are_read(tmp_path: Path) -> None:
    assert mirrors(tmp_path, {"sources.list.d/debian.sources": DEB822}) == {
        "main": ("http://mirror.corp.example/debian",),
        "proposed": ("http://mirror.corp.example/debian",),
        "security": ("http://mirror.corp.example/debian-security",),
    }


def test_one_line_sources_are_read(tmp_path: Path) -> None:
    text = """\
# deb http://off.example/debian bookworm main
deb http://one.example/debian/ bookworm main contrib # the mirror
deb [arch=amd64 signed-by=/etc/debian-archive.gpg] https://two.example/debian bookworm-updates main
deb-src http://source.example/debian bookworm main
deb http://one.example/debian-security bookworm-security main
"""
    assert mirrors(tmp_path, {"sources.list": text}) == {
        "main": ("http://one.example/debian", "https://two.example/debian"),
        "proposed": ("http://one.example/debian", "https://two.example/debian"),
        "security": ("http://one.example/debian-security",),
    }


def test_a_host_of_another_release_serves_as_well(tmp_path: Path) -> None:
    text = DEB822.replace("bookworm", "trixie")
    trixie = {"ID": "debian", "VERSION_CODENAME": "trixie"}
    assert set(mirrors(tmp_path, {"sources.list.d/debian.sources": text}, trixie)) == {"main", "proposed", "security"}


def test_suites_named_by_their_state_are_understood(tmp_path: Path) -> None:
    text = "deb http://a.example/debian stable main\ndeb http://a.example/debian-security stable-security main\n"
    assert set(mirrors(tmp_path, {"sources.list": text})) == {"main", "proposed", "security"}


def test_a_third_partys_repository_is_not_a_mirror(tmp_path: Path) -> None:
    text = """\
deb [signed-by=/usr/share/keyrings/vendor.gpg] https://packages.vendor.example/debian/12/prod bookworm main
deb https://download.vendor.example/linux/debian bookworm stable
deb https://apt.vendor.example/debian bookworm-vendor main
deb http://one.example/debian bookworm main
"""
    only = ("http://one.example/debian",)
    assert mirrors(tmp_path, {"sources.list": text}) == {"main": only, "proposed": only}


def test_optional_suites_lie_on_the_mirror_of_their_folder(tmp_path: Path) -> None:
    security = "deb http://one.example/debian-security bookworm-security main\n"
    assert set(mirrors(tmp_path / "without", {"sources.list": security})) == {"security"}
    both = mirrors(tmp_path / "with", {"sources.list": security + "deb http://one.example/debian bookworm main\n"})
    assert both["proposed"] == both["main"]


def test_the_likelier_address_comes_first(tmp_path: Path) -> None:
    text = "deb http://odd.example/apt bookworm main\ndeb http://one.example/debian bookworm main\n"
    assert mirrors(tmp_path, {"sources.list": text})["main"] == ("http://one.example/debian", "http://odd.example/apt")


@pytest.mark.parametrize("word", ["no", "false"])
def test_sources_that_are_off_are_skipped(tmp_path: Path, word: str) -> None:
    assert mirrors(tmp_path, {"sources.list.d/a.sources": f"Enabled: {word}\n{DEB822.split('Types', 2)[1]}"}) == {}
    assert mirrors(tmp_path, {"sources.list.d/a.sources.off": DEB822}) == {}


def test_media_and_files_are_skipped(tmp_path: Path) -> None:
    text = "deb cdrom:[Debian]/ bookworm main\ndeb file:/srv/debian bookworm main\n"
    assert read_apt_sources(apt_folder(tmp_path, {"sources.list": text})) == ()


def test_a_file_that_cannot_be_read_is_said_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"sources.list.d/a.sources": "Types deb\n", "sources.list.d/b.sources": DEB822}
    with caplog.at_level(logging.WARNING):
        assert set(mirrors(tmp_path, files)) == {"main", "proposed", "security"}
    assert "a.sources: cannot be read" in caplog.text


def test_other_families_hosts_have_no_mirror_of_it(tmp_path: Path) -> None:
    files = {"sources.list": "deb http://archive.example/ubuntu noble main\n"}
    assert mirrors(tmp_path, files, {"ID": "ubuntu", "VERSION_CODENAME": "noble"}) == {}
    assert mirrors(tmp_path, {}, {}) == {}


def test_an_embedded_key_marks_a_third_party(tmp_path: Path) -> None:
    text = DEB822.replace(
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n xyz",
    )
    assert set(mirrors(tmp_path, {"sources.list.d/a.sources": text})) == {"security"}
