"""Provenance in others' formats: in-toto Statement v1 with SLSA's predicate, from nothing but the record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kdriver.core.artifact import CORE_KERNEL, Artifact, DriverKind, DriverVersion, Input
from kdriver.core.provenance import BUILDER_VARIABLE, LOCAL_BUILDER, builder_id, statement

ARTIFACT = Artifact(
    kernel="debian/x86_64/6.1.0-56-amd64/6.1.192-2",
    release="6.1.0-56-amd64",
    kind=DriverKind.KMOD,
    name="kdriver",
    sha256="a" * 64,
    size_bytes=1,
    driver=DriverVersion("0.1.0", "1.0.0", "1.0.0", "10.1.0", "4.5.1"),
    compiler="gcc-12 12.2.0",
    flags=("-O2",),
    inputs=(
        Input("driver source", "b" * 64),
        Input("linux-headers-6.1.0-56-amd64_6.1.192-2+b1_amd64.deb", "c" * 64),
        Input("linux-headers-7.0.deb", "d" * 128),
    ),
    content_key="key",
    seconds=90.0,
    built_at="2026-11-28T10:01:30Z",
    vermagic="6.1.0-56-amd64 SMP",
    builder="https://ci.example.org/build",
)


def test_statement_has_the_published_shape() -> None:
    found = statement(ARTIFACT)
    assert set(found) == {"_type", "subject", "predicateType", "predicate"}
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [{"name": "kdriver.ko", "digest": {"sha256": "a" * 64}}]
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert set(definition) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert definition["internalParameters"]["compiler"] == "gcc-12 12.2.0"
    assert definition["internalParameters"]["flags"] == ["-O2"]
    assert details["builder"]["id"] == "https://ci.example.org/build"
    assert details["metadata"] == {
        "invocationId": "key", "startedOn": "2026-11-28T10:00:00Z", "finishedOn": "2026-11-28T10:01:30Z"
    }  # fmt: skip


def test_every_input_is_a_dependency_with_its_digest() -> None:
    found = statement(ARTIFACT)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [one["name"] for one in found] == [one.name for one in ARTIFACT.inputs]
    assert [one["digest"] for one in found] == [{"sha256": "b" * 64}, {"sha256": "c" * 64}, {"sha512": "d" * 128}]
    uris = [one.get("uri", "") for one in found]
    assert uris == ["", "pkg:deb/debian/linux-headers-6.1.0-56-amd64@6.1.192-2%2Bb1?arch=amd64", ""]


def test_core_object_has_no_kernels_packages() -> None:
    core = replace(ARTIFACT, kernel=CORE_KERNEL, kind=DriverKind.CORE, vermagic="")
    found = statement(core)["predicate"]["buildDefinition"]
    assert found["externalParameters"]["kernel"] == CORE_KERNEL
    assert "vermagic" not in found["internalParameters"]


def test_builder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BUILDER_VARIABLE, raising=False)
    assert builder_id() == LOCAL_BUILDER
    monkeypatch.setenv(BUILDER_VARIABLE, "https://ci.example.org/build")
    assert builder_id() == "https://ci.example.org/build"
