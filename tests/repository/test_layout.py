"""Names in a repository, and the names that other loaders ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdriver.core.artifact import DriverKind, DriverVersion
from kdriver.repository import layout
from kernel_index.releases import build_of_version

HOSTS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "fixtures/hosts.json").read_text())
VERSION = DriverVersion("6.0.1+driver", "1.0.0", "1.0.0", "10.1.0", "4.5.1")


@pytest.mark.parametrize("host", [one for one in HOSTS if one["falcoctl"]], ids=lambda host: host["id"])
def test_a_host_finds_its_driver_under_the_name_that_falcoctl_asks_for(host: dict[str, Any]) -> None:
    build = build_of_version(host["version"])
    aliases = layout.peer_aliases(
        distro=host["distro"],
        arch="x86_64",
        release=host["release"],
        build=build,
        kind=DriverKind.KMOD,
        name="falco",
        driver=VERSION,
    )
    assert f"6.0.1+driver/x86_64/{host['falcoctl']}" in aliases


def test_a_debian_kernel_has_an_exact_alias_that_keeps_its_suffix() -> None:
    aliases = layout.peer_aliases(
        distro="debian",
        arch="x86_64",
        release="6.12.117+deb12-amd64",
        build="6.12.117-1~deb12u1",
        kind=DriverKind.BPF,
        name="kdriver",
        driver=VERSION,
    )
    assert aliases[0] == "6.0.1+driver/x86_64/kdriver_debian_6.12.117+deb12-amd64_6.12.117-1~deb12u1.o"


def test_a_core_object_has_no_alias() -> None:
    nothing = layout.peer_aliases(
        distro="debian", arch="x86_64", release="r", build="b", kind=DriverKind.CORE, name="kdriver", driver=VERSION
    )
    assert nothing == ()


def test_a_plus_sign_is_encoded_in_addresses_and_a_tilde_is_not() -> None:
    assert layout.url_path("releases/6.12.117+deb12-amd64~x.json") == "releases/6.12.117%2Bdeb12-amd64~x.json"


def test_a_stored_file_carries_its_digest_so_that_versions_stand_side_by_side() -> None:
    assert layout.stored_path("kernels/a/b.json", "ff") == "targets/kernels/a/ff.b.json"
