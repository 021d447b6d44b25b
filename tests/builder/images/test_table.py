"""Every row of the table of distribution releases is asked for its image; what an image is made of is one text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.images.base import BaseKind, mmdebstrap_argv, plan_base
from builder.images.dockerfile import content_tag, render_dockerfile
from builder.images.table import ImageSpec, image_name, image_specs, select_specs, why_not
from builder.toolchain import load_table as load_toolchain_table
from kdriver.core.errors import ConfigError, NotFoundError
from kernel_index.table import DistroRow, load_table

ROWS = load_table()
SPECS = {spec.name: spec for spec in image_specs(ROWS)}


def rendered(name: str) -> str:
    return render_dockerfile(SPECS[name])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_names_an_image_or_says_why_not(row: DistroRow) -> None:
    if why_not(row):
        assert len(why_not(row)) > 10
        return
    spec = SPECS[image_name(row)]
    text = render_dockerfile(spec)
    assert f"FROM {spec.row.image}\n" in text
    for package in ("make", "binutils", *spec.row.compilers):
        assert f"    {package} \\\n" in text
    assert any(package.startswith("gcc") for package in spec.packages)


def test_rhel_is_built_in_the_image_of_its_free_equivalent() -> None:
    chosen = select_specs(SPECS.values(), ["rhel7", "rhel8", "centos7"], ROWS)
    assert [spec.name for spec in chosen] == ["centos7", "almalinux8"]


def test_every_clang_of_the_order_has_an_image() -> None:
    for name in load_toolchain_table().clangs:
        assert {name, name.replace("clang", "llvm"), "libbpf-dev"} <= set(SPECS[name].packages)


def test_centos_7_comes_from_the_vault() -> None:
    text = rendered("centos7")
    assert "baseurl=http://vault.centos.org/" in text
    assert "vault" not in rendered("centos9")


@pytest.mark.parametrize(
    ("name", "there", "absent"),
    [
        pytest.param("debian9", "http://archive.debian.org/debian stretch main", "", id="archived Debian"),
        pytest.param("ubuntu16.10", "http://old-releases.ubuntu.com/ubuntu yakkety main", "", id="ended Ubuntu"),
        pytest.param("debian13", "gcc-14", "sources.list", id="a release with its own sources"),
        pytest.param("debiansid", "Acquire::Check-Valid-Until=false", "sources.list", id="a suite that mirrors freeze"),
    ],
)
def test_sources_are_where_the_release_is(name: str, there: str, absent: str) -> None:
    text = rendered(name)
    assert there in text
    assert not absent or absent not in text


def test_every_dockerfile_is_small_and_says_where_it_comes_from() -> None:
    for name, spec in SPECS.items():
        text = rendered(name)
        assert f"kdriver images render {name}" in text
        assert "/usr/share/doc" in text
        word = "--no-install-recommends" if spec.row.image_template == "apt" else "install_weak_deps=False"
        assert word in text


def test_tag_is_of_the_dockerfile_and_the_base_and_not_of_the_bases_name() -> None:
    spec = SPECS["debian13"]
    tag = content_tag(render_dockerfile(spec), "sha256:1")
    assert content_tag(render_dockerfile(spec, "registry.example/debian:13"), "sha256:1") == tag
    assert content_tag(render_dockerfile(spec), "sha256:2") != tag
    assert content_tag(render_dockerfile(replace(spec, packages=("gcc-15",))), "sha256:1") != tag


def test_unknown_image_names_near_ones() -> None:
    with pytest.raises(NotFoundError, match="image 'debain13' is not known") as caught:
        select_specs(SPECS.values(), ["debain13"], ROWS)
    assert caught.value.hint is not None and "debian13" in caught.value.hint


def test_a_row_without_an_image_says_why() -> None:
    row = replace(ROWS[0], image="", no_image="its compiler is not to be had")
    assert why_not(row) == "its compiler is not to be had"
    assert image_name(row) == ""
    with pytest.raises(NotFoundError, match="no image builds for it: its compiler is not to be had"):
        select_specs((), [row.id], [row])


@pytest.mark.parametrize(
    ("word", "kind", "reference"),
    [
        pytest.param(None, BaseKind.REGISTRY, "debian:trixie", id="default"),
        pytest.param("registry", BaseKind.REGISTRY, "debian:trixie", id="registry"),
        pytest.param(
            "registry.example:5000/debian:13", BaseKind.REGISTRY, "registry.example:5000/debian:13", id="image"
        ),
        pytest.param("mmdebstrap", BaseKind.MMDEBSTRAP, "trixie", id="mmdebstrap"),
    ],
)
def test_base_is_planned_from_one_word(word: str | None, kind: BaseKind, reference: str) -> None:
    plan = plan_base(SPECS["debian13"], word)
    assert (plan.kind, plan.reference) == (kind, reference)


def test_base_of_a_file_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "root.tar").touch()
    assert plan_base(SPECS["centos7"], str(tmp_path / "root.tar")).kind is BaseKind.TARBALL
    with pytest.raises(ConfigError, match="there is no such file"):
        plan_base(SPECS["centos7"], str(tmp_path / "other.tar.gz"))


def test_mmdebstrap_makes_debian_only() -> None:
    with pytest.raises(ConfigError, match="mmdebstrap makes releases of Debian, not CentOS"):
        plan_base(SPECS["centos7"], "mmdebstrap")


def argv_of(name: str) -> list[str]:
    return mmdebstrap_argv(SPECS[name].row, Path("/out.tar"))


def test_mmdebstrap_makes_the_smallest_root_of_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_MIRROR", "http://mirror.example/debian")
    argv = argv_of("debian13")
    assert argv[-3:] == ["trixie", "/out.tar", "deb http://mirror.example/debian trixie main"]
    assert "--variant=minbase" in argv
    assert not any("Check-Valid-Until" in word for word in argv)


def test_mmdebstrap_takes_a_suite_that_its_mirror_froze() -> None:
    assert '--aptopt=Acquire::Check-Valid-Until "false"' in argv_of("debiansid")


def test_mmdebstrap_of_an_ended_release_trusts_its_removed_keys() -> None:
    assert argv_of("debian9")[-1] == (
        "deb [signed-by=/usr/share/keyrings/debian-archive-removed-keys.gpg] "
        "http://archive.debian.org/debian stretch main"
    )


def test_specs_of_a_table_without_a_row_for_llvm_are_those_of_its_rows() -> None:
    rows = [row for row in ROWS if row.id == "centos7"]
    specs: tuple[ImageSpec, ...] = image_specs(rows)
    assert [spec.name for spec in specs] == ["centos7"]
