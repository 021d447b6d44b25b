"""Kernels of a folder or page of package files."""

from __future__ import annotations

import dataclasses
import shutil
import tarfile
from pathlib import Path

import pytest

from kdriver.core.download import cached
from kdriver.core.errors import ConfigError, DownloadError, IntegrityError, NotFoundError
from kdriver.core.kernel import PackageRole
from kernel_index.exchange import store_kernels
from kernel_index.folder import package_links, read_source
from kernel_index.merge import merge_kernels
from kernel_index.sources import package_urls
from kernel_index.store import load_kernels
from kernel_index.table import DistroRow, load_table
from tests.fakes.debs import write_deb
from tests.fakes.file_server import FileServer
from tests.fakes.rpms import Built, RpmKey, build_rpms

TODAY = "2026-11-22"
VERSION = "6.1.999-1custom"
RELEASE = "6.1.0-99-amd64"


def row(row_id: str) -> DistroRow:
    return next(one for one in load_table() if one.id == row_id)


def put_debs(folder: Path) -> Path:
    """The packages of a custom Debian kernel, one that is no kernel's, and a damaged one."""
    folder.mkdir(parents=True)
    depends = f"linux-headers-6.1.0-99-common (= {VERSION}), linux-kbuild-6.1 (>= {VERSION}), gcc-12"
    for name, arch, needs in (
        (f"linux-headers-{RELEASE}", "amd64", depends),
        ("linux-headers-6.1.0-99-common", "all", ""),
        ("linux-kbuild-6.1", "amd64", "libc6 (>= 2.34)"),
        (f"linux-image-{RELEASE}", "amd64", "kmod"),
        ("bash", "amd64", ""),
    ):
        control = f"Package: {name}\nVersion: {VERSION}\nArchitecture: {arch}\n" + (
            f"Depends: {needs}\n" if needs else ""
        )
        write_deb(folder / f"{name}_{VERSION}_{arch}.deb", [("./usr/x", tarfile.REGTYPE, b"x")], control=control)
    (folder / "linux-image-damaged.deb").write_bytes(b"no package")
    return folder


def test_a_folder_of_debian_packages_is_a_kernel(tmp_path: Path) -> None:
    found = read_source(str(put_debs(tmp_path / "debs")), row("debian12"), today=TODAY)
    (kernel,) = found.kernels
    assert (kernel.key, kernel.compiler, kernel.libc) == (f"debian/x86_64/{RELEASE}/{VERSION}", "gcc-12", "2.34")
    roles = [package.role for package in kernel.packages]
    assert roles == [PackageRole.HEADERS, PackageRole.HEADERS_COMMON, PackageRole.KBUILD, PackageRole.IMAGE]
    assert not kernel.authenticated
    assert not any(package.authenticated for package in kernel.packages)
    assert (kernel.first_seen, kernel.last_seen, kernel.named_by) == (TODAY, TODAY, ())
    (refused,) = found.refused
    assert refused.name == "linux-image-damaged.deb"
    assert "no ar archive" in refused.reason


def test_a_build_gets_the_file_from_its_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    folder = put_debs(tmp_path / "debs with a space")
    kernel = read_source(str(folder), row("debian12"), today=TODAY).kernels[0]
    image, headers = kernel.packages[-1], kernel.packages[0]
    path = cached(package_urls(kernel, image), image.sha256, image.size_bytes, image.file_name)
    assert path.read_bytes() == (folder / f"linux-image-{RELEASE}_{VERSION}_amd64.deb").read_bytes()
    (folder / f"linux-headers-{RELEASE}_{VERSION}_amd64.deb").write_bytes(b"changed")
    with pytest.raises(IntegrityError, match="has changed since it was added") as changed:
        cached(package_urls(kernel, headers), headers.sha256, headers.size_bytes, headers.file_name)
    assert changed.value.hint == "Add its folder anew with `kdriver index add`."
    shutil.rmtree(folder)
    with pytest.raises(DownloadError, match="is not there any more"):
        cached(package_urls(kernel, headers), headers.sha256, headers.size_bytes, headers.file_name)
    assert cached(package_urls(kernel, image), image.sha256, image.size_bytes, image.file_name) == path


def test_a_crawl_does_not_take_a_folders_kernel_for_gone(tmp_path: Path) -> None:
    kernels = read_source(str(put_debs(tmp_path / "debs")), row("debian12"), today=TODAY).kernels
    assert store_kernels(kernels, tmp_path / "index") == kernels
    assert load_kernels(tmp_path / "index") == kernels
    assert merge_kernels(kernels, [], today="2026-11-23") == kernels


def test_a_page_of_links_is_read_like_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    folder = put_debs(tmp_path / "www/debs")
    links = "".join(f'<a href="{path.name}">{path.name}</a>\n' for path in sorted(folder.iterdir()))
    (folder / "index.html").write_text(f"<html>{links}</html>")
    with FileServer(tmp_path / "www") as server:
        found = read_source(f"{server.url}/debs/index.html", row("debian12"), today=TODAY)
        asked = [request.path for request in server.requests]
    (kernel,) = found.kernels
    assert [package.path.startswith(server.url) for package in kernel.packages] == [True] * 4
    assert not any("bash" in path or "damaged" in path for path in asked)
    # Their bytes are in the cache: the server is not needed again.
    for package in kernel.packages:
        assert cached(package_urls(kernel, package), package.sha256, None, package.file_name).is_file()


@pytest.mark.parametrize(
    ("listing", "links"),
    [
        pytest.param("<a HREF=\"a_1_all.deb\">x</a><a href='b.rpm'>", ("a_1_all.deb", "b.rpm"), id="a page"),
        pytest.param("a_1_all.deb\nsub/b.rpm\n", ("a_1_all.deb", "sub/b.rpm"), id="a list"),
        pytest.param('<a href="a+1%7e.deb">&amp;</a><a href="a+1%7e.deb">', ("a+1%7e.deb",), id="once"),
        pytest.param(
            '<a href="../up.deb"><a href="/etc/x.deb"><a href="http://other.example/x.deb">', (), id="elsewhere"
        ),
        pytest.param('<a href="file:///etc/x.deb"><a href="//[x.deb">', (), id="another protocol"),
        pytest.param('<a href="readme.html">', (), id="no package"),
    ],
)
def test_only_packages_below_the_page_are_followed(listing: str, links: tuple[str, ...]) -> None:
    base = "http://mirror.example/kernels/"
    assert package_links(listing, base) == tuple(base + link for link in links)


def test_rpms_that_a_key_of_the_row_signed_are_authenticated(tmp_path: Path) -> None:
    packages = [
        Built("kernel-devel", "3.10.0", "1160.el7", provides=("kernel-devel-uname-r = 3.10.0-1160.el7.x86_64",)),
        Built("kernel", "3.10.0", "1160.el7", provides=("kernel-uname-r = 3.10.0-1160.el7.x86_64",)),
    ]
    files = build_rpms(packages, tmp_path / "rpms")
    with RpmKey("vendor") as key:
        key.sign_rpms(files)
        archive = dataclasses.replace(
            row("centos7").archives[0],
            signed_by=(key.fingerprint,),
            keyring=key.keyring,
            keyring_package="",
            unsigned="",
        )
        signed_row = dataclasses.replace(row("centos7"), archives=(archive,))
        (signed,) = read_source(str(tmp_path / "rpms"), signed_row, today=TODAY).kernels
        (unsigned,) = read_source(str(tmp_path / "rpms"), row("centos7"), today=TODAY).kernels
    assert signed.key == unsigned.key
    assert (signed.release, signed.build) == ("3.10.0-1160.el7.x86_64", "1")
    assert [package.role for package in signed.packages] == [PackageRole.HEADERS, PackageRole.IMAGE]
    assert signed.authenticated
    assert not unsigned.authenticated


def test_a_source_without_kernels_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no package of a kernel of Debian 12") as empty:
        read_source(str(tmp_path), row("debian12"), today=TODAY)
    assert "--distro" in (empty.value.hint or "")
    with pytest.raises(ConfigError, match="no such folder"):
        read_source(str(tmp_path / "nowhere"), row("debian12"), today=TODAY)
