"""CentOS's own rows, crawled from a mirror on loopback: el7, el8 and el9 as their repositories are laid out."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from kdriver.commands.index import command
from kdriver.core.kernel import PackageRole
from kdriver.packages.openpgp import dearmored
from kernel_index.crawl import RowResult, UpdateOptions, plan_update, run_update
from kernel_index.rpm.keys import signing_keys
from kernel_index.store import load_kernels
from kernel_index.table import DistroRow, load_table, select_rows
from tests.fakes.el_kernels import EL7, EL7_PLUS, EL7_UPDATE, EL8, EL8_UPDATE, EL9
from tests.fakes.file_server import Fault
from tests.kernel_index.rpm.conftest import NOW, YumTree

OWN = Path(__file__).parents[3] / "kernel_index" / "distros.toml"
ROWS = [row for row in load_table(OWN) if row.family in ("centos", "rhel", "almalinux", "rocky")]
PINS = (
    "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5",
    "99DB70FAE1D7CE227FB6488205B555B38483C65D",
    "EF8F3CA66EFDF32B36CDADF76C7CB6EF305D49D6",
    "BAFA3436FC50768E3C3C2E4EA963BBDBF533F4FA",
)


@pytest.fixture
def centos(yum: YumTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> YumTree:
    """kdriver's own rows of CentOS with the test's key, and a mirror with a part of what they name."""
    text = OWN.read_text()
    start, end = text.index("[defaults.centos]"), text.index("[defaults.rhel]")
    defaults = text[start:end].replace('"keys/centos.asc"', f'"{yum.key.keyring}"\nkeyring_package = "made-keys"')
    table = defaults + text[text.index("[centos7]") : text.index("[rhel7]")]
    for pin in PINS:
        table = table.replace(pin, yum.key.fingerprint)
    yum.table.write_text(table)
    monkeypatch.setenv("KDRIVER_DISTROS", str(yum.table))
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
    yum.publish("centos/7.6.1810/os/x86_64", f"-{EL7}.")
    yum.publish("centos/7.6.1810/updates/x86_64", f"-{EL7_UPDATE}.x86_64", compression="xz")
    yum.publish("centos/7.6.1810/centosplus/x86_64", EL7_PLUS, compression="bz2")
    yum.publish("centos/8.5.2111/BaseOS/x86_64/os", EL8, EL8_UPDATE, signed=False)
    yum.publish(
        "9-stream/BaseOS/x86_64/os",
        *(f"kernel-{part}-5.14.0-{EL9}.x86" for part in ("core", "modules", "modules-core")),
    )
    yum.publish("9-stream/AppStream/x86_64/os", f"kernel-devel-5.14.0-{EL9}.x86", compression="zst")
    yum.publish("9-stream/RT/x86_64/os", "kernel-rt-", compression="zst")
    yum.publish("9-stream/BaseOS/aarch64/os", "kernel-64k-", compression="zst")
    return yum


def update(yum: YumTree, distro: str) -> RowResult:
    """Crawl a row from the mirror."""
    options = UpdateOptions(mirrors=(yum.server.url,))
    (result,) = run_update(plan_update(select_rows(load_table(), distro), options), options, now=NOW)
    return result


def test_el7_is_indexed_with_the_rest_named_as_failed(centos: YumTree) -> None:
    result = update(centos, "centos7")
    outcomes = {suite.suite: suite.outcome for suite in result.index.suites}
    fetched = [suite for suite, outcome in outcomes.items() if outcome == "fetched"]
    assert fetched == [f"7.6.1810/{one}/x86_64" for one in ("os", "updates", "centosplus")]
    assert outcomes["7.9.2009/os/x86_64"] == "failed" and outcomes["7.9.2009/rt/x86_64"] == "skipped"
    assert result.index.partial and len(result.errors) == 27
    assert {kernel.release: kernel.flavour for kernel in load_kernels()} == {
        f"3.10.0-{EL7}.x86_64": "generic",
        f"3.10.0-{EL7}.x86_64.debug": "debug",
        f"3.10.0-{EL7_UPDATE}.x86_64": "generic",
        f"3.10.0-{EL7_PLUS}.x86_64": "plus",
    }


def test_el8_without_a_signature_of_its_metadata_is_authenticated_by_its_packages(centos: YumTree) -> None:
    update(centos, "centos8")
    kernels = {kernel.release: kernel for kernel in load_kernels()}
    assert set(kernels) == {
        f"4.18.0-{one}" for one in (f"{EL8}.x86_64", f"{EL8_UPDATE}.x86_64", f"{EL8_UPDATE}.x86_64+debug")
    }
    assert all(kernel.authenticated for kernel in kernels.values())


def test_el9_is_put_together_from_its_repositories_and_unchanged_the_second_time(centos: YumTree) -> None:
    update(centos, "centos9")
    kernels = {kernel.release: kernel for kernel in load_kernels()}
    assert set(kernels) == {f"5.14.0-{EL9}.{end}" for end in ("x86_64", "x86_64+rt", "aarch64+64k")}
    roles = [PackageRole.HEADERS, PackageRole.IMAGE, PackageRole.MODULES_CORE, PackageRole.MODULES]
    for kernel in kernels.values():
        assert [package.role for package in kernel.packages] == roles
        assert not kernel.gone and kernel.authenticated
    again = update(centos, "centos9")
    assert (again.new, again.gone, sum(count for _, count in again.bytes_read)) == ((), (), 0)
    assert {kernel.release: kernel for kernel in load_kernels()} == kernels


def test_a_repository_that_fails_keeps_its_last_good_state(centos: YumTree) -> None:
    update(centos, "centos9")
    before = load_kernels()
    path = "/9-stream/BaseOS/x86_64/os/repodata/repomd.xml"
    centos.server.fail(path, *[Fault(status=500)] * 4)
    result = update(centos, "centos9")
    assert result.index.partial and "500" in result.errors[0].message
    assert load_kernels() == before


def test_a_kernel_that_leaves_its_repository_is_marked_gone(centos: YumTree) -> None:
    update(centos, "centos9")
    centos.publish("9-stream/RT/x86_64/os", "bash", compression="zst")
    result = update(centos, "centos9")
    assert result.gone == (f"centos/x86_64/5.14.0-{EL9}.x86_64+rt/5.14.0-{EL9}",)
    (gone,) = (kernel for kernel in load_kernels() if kernel.gone)
    assert gone.release.endswith("+rt") and len(gone.packages) == 4


def test_the_command_line_lists_and_shows_them(centos: YumTree) -> None:
    update(centos, "centos9")
    listed = CliRunner().invoke(command, ["list", "--distro", "centos9", "--json"])
    assert listed.exit_code == 0
    assert [one["release"] for one in json.loads(listed.stdout)] == [f"5.14.0-{EL9}.x86_64", f"5.14.0-{EL9}.x86_64+rt"]
    shown = CliRunner().invoke(command, ["show", "newest", "--distro", "centos9"])
    assert shown.exit_code == 0 and "kernel-devel" in shown.stdout
    assert "https://mirror.stream.centos.org/9-stream/AppStream/x86_64/os/Packages/kernel-devel" in shown.stdout


@functools.cache
def primary_keys(keyring: Path) -> frozenset[str]:
    """The fingerprints of a keyring's primary keys, as gpg reads them."""
    with tempfile.TemporaryDirectory(prefix="kd-gpg-") as home:
        binary = Path(home) / "keys.gpg"
        binary.write_bytes(dearmored(keyring.read_bytes()))
        argv = ["gpg", "--homedir", home, "--batch", "--with-colons", "--show-keys", str(binary)]
        lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    return frozenset(line.split(":")[9] for before, line in itertools.pairwise(lines) if before.startswith("pub"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_key_that_a_row_pins_is_in_its_keyring(row: DistroRow) -> None:
    for archive in row.archives:
        keys = signing_keys(row, archive)
        assert keys is not None and set(keys.signed_by) <= primary_keys(keys.keyring), archive.id
