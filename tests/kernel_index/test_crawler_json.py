"""kernel-crawler's JSON: every entry of the facts under its true name, and hostile or useless entries refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kdriver.core.errors import ConfigError
from kdriver.core.kernel import PackageRole
from kernel_index.crawler_json import Imported, export_crawler, read_crawler
from kernel_index.exchange import Refused
from kernel_index.package_names import kernel_part, split_file_name
from kernel_index.rows import built_for
from kernel_index.table import DistroRow, load_table
from tests.kernel_index.known import known_kernels

FAMILIES = ("debian", "ubuntu", "centos", "rhel", "almalinux", "rocky")
POOL = "http://mirror.example/pool/main/l/linux"


def rows() -> tuple[DistroRow, ...]:
    """A row for every release that the facts know."""
    model = next(row for row in load_table() if row.id == "debian12")
    versions = {(one["distro"], one["distro_version"].split(" ")[0]) for one in known_kernels()}
    versions |= (
        {("centos", str(major)) for major in (6, 7, 8, 9)}
        | {("rocky", "8"), ("rocky", "9"), ("almalinux", "9")}
        | {("ubuntu", "22.10"), ("debian", "sid")}
    )
    return tuple(
        dataclasses.replace(model, id=f"{family}{version}", family=family, version=version, codename="")
        for family, version in sorted(versions)
        if family in FAMILIES and version
    )


def read(*entries: Any, title: str = "Ubuntu", distro: str | None = None) -> Imported:
    return read_crawler({title: list(entries)}, rows(), today="2026-11-22", distro=distro)


def entry(release: str, version: str, target: str, *files: str) -> dict[str, Any]:
    headers = [f"{POOL}/{file}" for file in files]
    return {"kernelrelease": release, "kernelversion": version, "target": target, "headers": headers}


def test_every_entry_of_the_facts_is_mended() -> None:
    listed = [one for one in known_kernels() if one.get("crawler") and one["urls"] and one["distro"] in FAMILIES]
    mended = refused = 0
    for one in listed:
        target, release, version = one["crawler"]
        headers = {"kernelrelease": release, "kernelversion": version, "target": target, "headers": one["urls"]}
        imported = read(headers, title=one["distro"])
        if imported.refused:
            # Kernels of development lines that no release came with, and of 14.04, are of no row.
            assert one["distro_version"] in ("", "14.04", "24.04-dev"), imported.refused
            refused += 1
            continue
        (kernel,) = imported.kernels
        assert (kernel.release, kernel.build, kernel.arch) == (one["release"], one["build"], one["arch"])
        assert not kernel.authenticated
        assert all(package.path in one["urls"] and not package.sha256 for package in kernel.packages)
        differs = f"{release} {version}" != f"{kernel.release} {kernel.build}"
        assert bool(imported.mended) is differs
        mended += differs
    print(f"{len(listed)} entries of kernel-crawler read, {mended} names mended, {refused} of no row")
    assert (len(listed), mended, refused) == (237, 86, 12)


def test_the_release_that_a_kernel_was_built_for_is_told_by_its_packages() -> None:
    for one in known_kernels():
        version = one["distro_version"].split(" ")[0]
        if one["distro"] not in FAMILIES or not one["urls"] or not version[:1].isdigit() or version.endswith("-dev"):
            continue
        names = [split_file_name(url) for url in one["urls"]]
        part = next(part for part in map(kernel_part, names) if part is not None and part.release)
        found = built_for(one["distro"], part, [name.name for name in names])
        if "+22.10.1" in one["build"]:
            version = "22.10"
        if version != "14.04":
            assert version == found or (one["distro"] not in ("debian", "ubuntu") and version.startswith(found)), one


def test_one_entry_of_several_flavours_is_several_kernels() -> None:
    imported = read(
        entry(
            "5.15.0-50-hwe-5.15",
            "56~20.04.1",
            "ubuntu-hwe-5.15",
            "linux-headers-5.15.0-50-generic_5.15.0-50.56~20.04.1_amd64.deb",
            "linux-headers-5.15.0-50-lowlatency_5.15.0-50.56~20.04.1_amd64.deb",
            "linux-hwe-5.15-headers-5.15.0-50_5.15.0-50.56~20.04.1_all.deb",
        )
    )
    assert [kernel.release for kernel in imported.kernels] == ["5.15.0-50-generic", "5.15.0-50-lowlatency"]
    assert {kernel.distro_release for kernel in imported.kernels} == {"ubuntu20.04"}
    for kernel in imported.kernels:
        assert [package.role for package in kernel.packages] == [PackageRole.HEADERS, PackageRole.HEADERS_COMMON]
    assert [one.found for one in imported.mended] == ["5.15.0-50-generic 56~20.04.1", "5.15.0-50-lowlatency 56~20.04.1"]


def test_a_real_time_kernel_gets_its_own_common_headers() -> None:
    imported = read(
        entry(
            "5.10.178-3-rt-amd64",
            "1",
            "debian",
            "linux-headers-5.10.0-22-common_5.10.178-3_all.deb",
            "linux-headers-5.10.0-22-common-rt_5.10.178-3_all.deb",
            "linux-headers-5.10.0-22-rt-amd64_5.10.178-3_amd64.deb",
            "linux-kbuild-5.10_5.10.178-3_amd64.deb",
        ),
        title="Debian",
    )
    (kernel,) = imported.kernels
    assert [package.name for package in kernel.packages] == [
        "linux-headers-5.10.0-22-rt-amd64",
        "linux-headers-5.10.0-22-common-rt",
        "linux-kbuild-5.10",
    ]


HEADERS = "linux-headers-5.4.0-165-generic_5.4.0-165.182_amd64.deb"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(7, "not an object", id="no object"),
        pytest.param({"kernelrelease": 1, "target": "u"}, "kernelrelease and target must be short texts", id="number"),
        pytest.param({**entry("5", "1", "ubuntu"), "kernelversion": None}, "kernelversion must be a text or a number"),
        pytest.param({**entry("5", "1", "ubuntu"), "headers": "x"}, "headers must be a list of at most 64 addresses"),
        pytest.param(
            {**entry("5", "1", "ubuntu"), "headers": ["file:///etc/passwd"]}, "headers must be http(s) addresses"
        ),
        pytest.param(entry("5", "1", "minikube", HEADERS), "target 'minikube': no distribution of that name is known"),
        pytest.param(entry("5.4.0-165", "1", "ubuntu"), "none of its addresses is a package of headers"),
        pytest.param(
            entry("5", "1", "ubuntu", "linux-headers-6.6.0-1-generic_6.6.0-1.1_amd64.deb"),
            "no row of the table is for ubuntu 6.6.0-1.1",
        ),
    ],
)  # fmt: skip
def test_a_useless_entry_is_refused_by_itself(value: Any, reason: str) -> None:
    imported = read(value, entry("5.4.0-165-generic", "182", "ubuntu-generic", HEADERS))
    assert [kernel.release for kernel in imported.kernels] == ["5.4.0-165-generic"]
    assert [one.reason for one in imported.refused] == [reason]
    assert isinstance(imported.refused[0], Refused)


@pytest.mark.parametrize("document", [[], {"Ubuntu": {}}, 5, None])
def test_another_document_is_refused(document: Any) -> None:
    with pytest.raises(ConfigError, match="not kernel-crawler's form") as caught:
        read_crawler(document, rows(), today="2026-11-22")
    assert caught.value.hint == "Name a list.json of kernel-crawler, or a file of `kdriver index export`."


def test_what_is_exported_is_read_back_without_mending() -> None:
    imported = read(entry("5.4.0-165-generic", "182", "ubuntu-generic", HEADERS))
    document = export_crawler(imported.kernels, lambda kernel, package: (package.path,))
    assert document == {"Ubuntu": [entry("5.4.0-165-generic", "182", "ubuntu-generic", HEADERS)]}
    assert read(*document["Ubuntu"]) == imported


def test_the_row_can_be_named() -> None:
    strange = entry("5", "1", "ubuntu", "linux-headers-6.6.0-1-generic_6.6.0-1.1_amd64.deb")
    assert read(strange, distro="ubuntu24.04").kernels[0].distro_release == "ubuntu24.04"
