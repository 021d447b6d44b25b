"""The table of distributions: ours is right, and a wrong one is told all its faults at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, ExitCode, NotFoundError
from kernel_index.family import family_of
from kernel_index.table import DistroRow, load_table, select_rows
from tests.fakes.apt_repository import table_text

ROWS = load_table(Path(__file__).parents[2] / "kernel_index" / "distros.toml")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_meets_its_obligations(row: DistroRow) -> None:
    family = family_of(row.family)
    assert row.id == row.family + row.version
    assert row.archives and row.kinds and row.architectures
    assert all(row.generic_flavour(arch) for arch, _ in row.architectures)
    suites = [(archive.id, suite) for archive in row.archives for suite in family.suites(row, archive)]
    assert len(set(suites)) == len(suites)
    for archive in row.archives:
        assert all(mirror.endswith(f"/{archive.folder}") for mirror in archive.mirrors)
        for mirror in archive.mirrors:
            assert family.release_url(mirror, archive.suites[0]).startswith(mirror)


def test_debian_12_is_there_with_all_its_suites() -> None:
    (row,) = select_rows(ROWS, "debian12")
    assert {suite for archive in row.archives for suite in archive.suites} == {
        "bookworm",
        "bookworm-updates",
        "bookworm-security",
        "bookworm-backports",
        "bookworm-proposed-updates",
        "bookworm-backports-sloppy",
    }


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "distros.toml"
    good = table_text(Path("/keys.gpg"), "A" * 40)
    file.write_text(
        good.replace('"/keys.gpg"', '"keys.gpg"')
        .replace('"kmod", ', '"kernel", ')
        .replace("A" * 40, "short", 1)
        .replace('"http://mirror.invalid/debian"', '"ftp://mirror.invalid"')
        .replace("end_of_life = 2099-06-30", 'end_of_life = "soon"')
        .replace('codename = "clover"', 'code = "clover"')
    )
    with pytest.raises(ConfigError) as caught:
        load_table(file)
    assert caught.value.exit_code == ExitCode.USAGE and caught.value.hint
    for fault in (
        "keyring must be an absolute path",
        "kinds: 'kernel' is not one of kmod, bpf, core",
        "debian99.archives.main: signed_by: 'short' is not a fingerprint",
        "mirrors: 'ftp://mirror.invalid' is not an http(s) address",
        "end_of_life must be a date",
        "codename must be a text",
        "code is not a key of it",
    ):
        assert fault in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "there is no distribution in it", id="empty"),
        pytest.param("[debian99", "distros.toml: ", id="no-toml"),
        pytest.param("debian99 = 1", "debian99 must be a table", id="no-table"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "distros.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_table(tmp_path / "distros.toml")
    assert said in caught.value.message


def test_a_missing_file_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_DISTROS", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"none\.toml: No such file") as caught:
        load_table()
    assert caught.value.hint == "Check KDRIVER_DISTROS."


def test_a_row_is_chosen_by_id_or_family() -> None:
    assert select_rows(ROWS, None) == ROWS
    assert [row.id for row in select_rows(ROWS, "debian12")] == ["debian12"]
    assert {row.family for row in select_rows(ROWS, "debian")} == {"debian"}
    with pytest.raises(NotFoundError) as caught:
        select_rows(ROWS, "debain12")
    assert caught.value.hint and "debian12" in caught.value.hint


def test_a_family_without_a_class_is_a_fault_of_the_table() -> None:
    with pytest.raises(ConfigError, match="family 'minix' has no class"):
        family_of("minix")
