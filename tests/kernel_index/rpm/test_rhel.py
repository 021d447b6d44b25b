"""RHEL: skipped without an entitlement, and asked with one, over TLS that shows the certificate."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from kdriver.commands.index import command
from kdriver.core.download import fetch as download
from kdriver.core.errors import ConfigError, DownloadError, ExitCode, IntegrityError
from kdriver.core.http import Http
from kernel_index.crawl import UpdateOptions, plan_update, run_update
from kernel_index.distros.rhel import FAMILY, Entitlement, find_entitlement
from kernel_index.sources import check_package, package_client, package_urls
from kernel_index.store import load_kernels
from kernel_index.table import load_table, select_rows
from tests.fakes.el_kernels import EL8_UPDATE
from tests.fakes.file_server import FileServer
from tests.fakes.tls import Certificates, make_certificates, serve_to_clients_with_a_certificate
from tests.kernel_index.rpm.conftest import NOW, ROW, YumTree

RELEASE = f"4.18.0-{EL8_UPDATE}.x86_64"
RHEL_ROW = (
    ROW.replace("centos7", "rhel8")
    .replace('"centos"', '"rhel"')
    .replace("archives.vault", "archives.cdn")
    .replace('"os", "updates"', '"dist/os"')
    + 'credentials = "entitlement"\n'
)


@pytest.fixture(autouse=True)
def no_entitlement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that tests run on may have one."""
    monkeypatch.setattr("kernel_index.distros.rhel._HOST_ENTITLEMENTS", Path("/nowhere"))
    for name in ("CERTIFICATE", "KEY", "CA"):
        monkeypatch.delenv(f"KDRIVER_RHEL_{name}", raising=False)


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """An entitlement that the environment names."""
    made = make_certificates(tmp_path)
    monkeypatch.setenv("KDRIVER_RHEL_CERTIFICATE", str(made.client))
    monkeypatch.setenv("KDRIVER_RHEL_KEY", str(made.client_key))
    monkeypatch.setenv("KDRIVER_RHEL_CA", str(made.authority))
    return made


def write_row(yum: YumTree, url: str) -> None:
    """RHEL's row, whose content delivery network is at that address."""
    yum.table.write_text(RHEL_ROW % (yum.key.keyring, url, yum.key.fingerprint))


def test_without_an_entitlement_it_is_skipped_with_what_to_supply(
    yum: YumTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_row(yum, "https://cdn.invalid/content")
    (result,) = run_update(plan_update(load_table(yum.table)), path=tmp_path / "index", now=NOW)
    (state,) = result.index.suites
    assert (state.outcome, result.index.partial) == ("skipped", False)
    for said in (
        "KDRIVER_RHEL_CERTIFICATE",
        "KDRIVER_RHEL_KEY",
        "--mirror local=URL",
        "kdriver index add FOLDER",
        "twins",
    ):
        assert said in state.reason
    assert not yum.server.paths()


def test_with_an_entitlement_lists_headers_and_packages_are_fetched(
    yum: YumTree, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    yum.publish("dist/os", EL8_UPDATE, signed=False)
    server = FileServer(yum.root)
    url = serve_to_clients_with_a_certificate(server, certificates)
    with server:
        write_row(yum, url)
        monkeypatch.setenv("KDRIVER_DISTROS", str(yum.table))
        (result,) = run_update(plan_update(load_table()), path=tmp_path / "index", now=NOW)
        assert [suite.outcome for suite in result.index.suites] == ["fetched"]
        kernel = next(one for one in load_kernels(tmp_path / "index") if one.release == RELEASE)
        assert kernel.authenticated and kernel.key == f"rhel/x86_64/{RELEASE}/4.18.0-{EL8_UPDATE}"
        package = kernel.packages[0]
        file = download(
            package_urls(kernel, package), tmp_path / "devel.rpm", size_bytes=package.size_bytes,
            sha256=package.sha256, http=package_client(kernel, package),
        )  # fmt: skip
        assert file.read_bytes() == yum.packages[package.file_name].read_bytes()
        assert check_package(kernel, package, file) == file
        file.write_bytes(file.read_bytes()[:-1] + b"!")
        with pytest.raises(IntegrityError, match="its payload differs from the digest that was signed"):
            check_package(kernel, package, file)
        with pytest.raises(DownloadError):
            download(package_urls(kernel, package), tmp_path / "other.rpm", size_bytes=None, sha256=None, http=Http())
    logged = caplog.text
    assert str(certificates.client) not in logged and str(certificates.client_key) not in logged
    assert certificates.client_key.read_text() not in logged


def test_a_mirror_by_url_needs_no_entitlement(yum: YumTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """reposync names folders by repository id; what such a mirror does not carry is skipped."""
    text = Path("kernel_index/distros.toml").read_text()
    start = text.index("[defaults.rhel]")
    row = text[text.index("\n[rhel8]") : text.index("\n[rhel9]")]
    defaults = text[start : text.index("[defaults.almalinux]")]
    yum.table.write_text(
        (defaults + row)
        .replace("keys/redhat.asc", str(yum.key.keyring))
        .replace("567E347AD0044ADE55BA8A5F199E2F91FD431D51", yum.key.fingerprint)
        .replace('keyring = "', 'keyring_package = "made-keys"\nkeyring = "', 1)
        .replace('image_of = "almalinux8"', 'no_image = "not in this table"')
    )
    monkeypatch.setenv("KDRIVER_DISTROS", str(yum.table))
    yum.publish("rhel-8-for-x86_64-baseos-rpms", EL8_UPDATE)
    options = UpdateOptions(mirrors=(f"local={yum.server.url}",))
    rows = select_rows(load_table(), "rhel8")
    (result,) = run_update(plan_update(rows, options), options, path=tmp_path / "index", now=NOW)
    outcomes = {suite.suite: suite.outcome for suite in result.index.suites if suite.outcome != "skipped"}
    assert outcomes == {"rhel-8-for-x86_64-baseos-rpms": "fetched"} and not result.index.partial
    kernel = next(one for one in load_kernels(tmp_path / "index") if one.release == RELEASE)
    assert kernel.authenticated and {package.archive for package in kernel.packages} == {"local"}


def test_a_certificate_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_entitlement({"KDRIVER_RHEL_CERTIFICATE": str(tmp_path / "none.pem")})
    assert caught.value.message == "KDRIVER_RHEL_CERTIFICATE: the file it names cannot be read"
    assert caught.value.hint == "Check KDRIVER_RHEL_CERTIFICATE." and caught.value.exit_code == ExitCode.USAGE


def test_the_hosts_own_entitlement_is_found(tmp_path: Path) -> None:
    for name in ("123.pem", "123-key.pem", "9.pem", "notes.pem"):
        (tmp_path / name).touch()
    authority = tmp_path / "uep.pem"
    found = find_entitlement({}, host=tmp_path, host_authority=authority)
    assert found == Entitlement(tmp_path / "123.pem", tmp_path / "123-key.pem", None)
    authority.touch()
    found = find_entitlement({}, host=tmp_path, host_authority=authority)
    assert found is not None and found.authority == authority


def test_one_file_may_hold_certificate_and_key(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.touch()
    found = find_entitlement({"KDRIVER_RHEL_CERTIFICATE": str(file)}, host_authority=tmp_path / "none")
    assert found == Entitlement(file, file, None)


def test_only_archives_that_ask_for_it_are_asked_with_the_entitlement(certificates: Certificates) -> None:
    row = select_rows(load_table(Path("kernel_index/distros.toml")), "rhel9")[0]
    http = Http()
    assert FAMILY.client(http, row.archive("local")) is http
    assert FAMILY.client(http, row.archive("cdn")) is not http
    assert not FAMILY.missing(row, row.archive("cdn"))
    assert FAMILY.client(http, dataclasses.replace(row.archive("cdn"), credentials="")) is http


def test_what_is_skipped_for_one_reason_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)
    monkeypatch.delenv("KDRIVER_MIRROR", raising=False)
    monkeypatch.setenv("KDRIVER_INDEX", str(tmp_path / "index"))
    updated = CliRunner().invoke(command, ["update", "--distro", "rhel9"])
    assert updated.exit_code == 0
    lines = [line.split() for line in updated.stdout.splitlines() if " suites " in line]
    assert [(line[2], line[3]) for line in lines] == [
        (archive, "skipped") for archive in ("cdn", "eus", "layered", "local")
    ]
    assert "KDRIVER_RHEL_CERTIFICATE" in updated.stdout
