"""The grammars of `uname -r` and their order: on every real name, and on many made ones."""

from __future__ import annotations

import itertools
import random

import pytest

from kernel_index.releases import Grammar, Release, build_of_version, parse_release, release_key
from tests.kernel_index.known import known_hosts, known_kernels

KERNELS = known_kernels()
GRAMMARS = {"debian": Grammar.DEBIAN, "ubuntu": Grammar.UBUNTU}
SEED = 20261122


def test_every_real_name_is_parsed_and_given_back() -> None:
    for kernel in KERNELS:
        release = parse_release(kernel["release"])
        assert release.text == kernel["release"]
        assert release.grammar is GRAMMARS.get(kernel["distro"], Grammar.RPM), kernel["release"]
        assert release.arch in ("", kernel["arch"])
    print(f"{len(KERNELS)} names of kernels parsed")
    assert len(KERNELS) == 349


def test_every_name_of_a_host_is_parsed_or_of_no_distribution_in_scope() -> None:
    strange = set()
    for host in known_hosts():
        try:
            assert parse_release(host["release"]).text == host["release"]
        except ValueError:
            strange.add(host["release"])
    assert strange == {"", "5.10.0", "4.19.283-3.ph3", "6.7.2-arch1-2"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("4.19.0-0.bpo.19-arm64", ("debian", "4.19.0", "0.bpo.19", "arm64", "aarch64"), id="bpo era"),
        pytest.param("6.6.13+bpo-amd64", ("debian", "6.6.13+bpo", "", "amd64", "x86_64"), id="no ABI number"),
        pytest.param("6.12.90+deb12.1-rt-amd64", ("debian", "6.12.90+deb12.1", "", "rt-amd64", "x86_64"), id="deb12"),
        pytest.param("5.17.0-rc8-cloud-amd64", ("debian", "5.17.0", "rc8", "cloud-amd64", "x86_64"), id="candidate"),
        pytest.param("4.19.0-5-686-pae", ("debian", "4.19.0", "5", "686-pae", "i686"), id="flavour that is a number"),
        pytest.param("6.6.13-686-pae", ("debian", "6.6.13", "", "686-pae", "i686"), id="no ABI before such a flavour"),
        pytest.param("6.1.0-rpi3-rpi-2712", ("debian", "6.1.0", "rpi3", "rpi-2712", "aarch64"), id="raspberry pi"),
        pytest.param("6.6.20+rpt-rpi-v8", ("debian", "6.6.20+rpt", "", "rpi-v8", "aarch64"), id="raspberry pi, no ABI"),
        pytest.param("5.11.0-37-generic-64k", ("ubuntu", "5.11.0", "37", "generic-64k", ""), id="flavour of two parts"),
        pytest.param(
            "6.8.0-1009-nvidia-tegra-igx-rt", ("ubuntu", "6.8.0", "1009", "nvidia-tegra-igx-rt", ""), id="of four"
        ),
        pytest.param("3.10.0-957.el7.x86_64", ("rpm", "3.10.0", "957.el7", "", "x86_64"), id="el7"),
        pytest.param("3.10.0-862.el7.centos.plus.x86_64", ("rpm", "3.10.0", "862.el7.centos.plus", "plus", "x86_64")),
        pytest.param("5.14.0-583.el9.aarch64+64k-debug", ("rpm", "5.14.0", "583.el9", "64k-debug", "aarch64")),
        pytest.param("3.10.0-327.el7.x86_64.debug", ("rpm", "3.10.0", "327.el7", "debug", "x86_64")),
        pytest.param("4.18.0-80.1.2.rt9.145.el8_0.x86_64", ("rpm", "4.18.0", "80.1.2.rt9.145.el8_0", "rt", "x86_64")),
        pytest.param("4.18.0-372.9.1.lve.el8.x86_64", ("rpm", "4.18.0", "372.9.1.lve.el8", "lve", "x86_64")),
    ],
)
def test_the_parts_of_a_name(text: str, parts: tuple[str, ...]) -> None:
    release = parse_release(text)
    assert (release.grammar, release.version, release.number, release.flavour, release.arch) == parts
    assert release.text == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("4.18.0-348.2.1.el8_5.x86", "its architecture is cut short", id="cut at a dot"),
        pytest.param("7.6.1810", "it is a version only", id="a distribution's version"),
        pytest.param("3.10.0-1160.15.2.el7", "it has no architecture at its end", id="no architecture"),
        pytest.param("", "is no `uname -r`", id="empty"),
        pytest.param("6.1.0-9-common", "is no `uname -r` of debian's form", id="common headers"),
        pytest.param("6.1.0-56-amd64\n", "is no `uname -r`", id="line end"),
        pytest.param("../../6.1.0-56-amd64", "is no `uname -r`", id="path"),
        pytest.param("6.1.0-" + "5" * 200 + "-amd64", "has 212 characters, a `uname -r` has at most 64", id="endless"),
    ],
)
def test_a_malformed_name_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match="uname") as caught:
        parse_release(text, Grammar.DEBIAN if "common" in text else None)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(
            [
                "5.10.0-trunk-amd64",
                "5.10.0-0.bpo.9-amd64",
                "5.10.0-0.deb10.16-amd64",
                "5.10.0-8-amd64",
                "5.10.0-23-amd64",
                "6.0.0-rc7-amd64",
                "6.0.0-1-amd64",
                "6.6.9-amd64",
                "6.6.13-amd64",
                "6.12.9+deb13-amd64",
                "6.12.12+bpo-amd64",
                "6.12.107+deb12-amd64",
            ],
            id="debian",
        ),
        pytest.param(["4.15.0-112-generic", "4.15.0-1012-azure", "5.4.0-9-generic", "5.4.0-128-generic"], id="ubuntu"),
        pytest.param(
            [
                "3.10.0-123.el7.x86_64",
                "3.10.0-1062.el7.x86_64",
                "3.10.0-1160.el7.x86_64",
                "3.10.0-1160.9.1.el7.x86_64",
                "3.10.0-1160.11.1.el7.x86_64",
                "4.18.0-80.el7.aarch64",
                "4.18.0-553.5.1.el8_10.x86_64",
                "5.14.0-70.13.1.el9_0.x86_64",
            ],
            id="rpm",
        ),
    ],
)
def test_releases_are_ordered_as_the_package_manager_would(names: list[str]) -> None:
    shuffled = list(names)
    random.Random(SEED).shuffle(shuffled)
    assert sorted(shuffled, key=lambda name: release_key(parse_release(name))) == names


def made_release(rng: random.Random) -> Release:
    """A release with parts as distributions write them."""
    version = f"{rng.choice((3, 4, 5, 6))}.{rng.randint(0, 19)}.{rng.randint(0, 130)}"
    grammar = rng.choice(tuple(Grammar))
    if grammar is Grammar.UBUNTU:
        flavour = "-".join(
            rng.sample(("generic", "64k", "aws", "fips", "azure", "cvm", "lowlatency"), rng.randint(1, 3))
        )
        flavour = flavour if flavour[0].isalpha() else f"x{flavour}"
        return Release(grammar, version, str(rng.randint(1, 2100)), flavour, "")
    if grammar is Grammar.DEBIAN:
        arch = rng.choice(("amd64", "arm64"))
        flavour = rng.choice(("", "cloud-", "rt-")) + arch
        number = rng.choice(
            ("", "trunk", f"rc{rng.randint(1, 9)}", f"0.deb{rng.randint(9, 13)}.2", str(rng.randint(0, 60)))
        )
        mark = "" if number else rng.choice(("", "+bpo", "+deb12", "+deb13.1"))
        return Release(grammar, version + mark, number, flavour, {"amd64": "x86_64", "arm64": "aarch64"}[arch])
    number = ".".join(str(rng.randint(1, 1200)) for _ in range(rng.randint(1, 4)))
    tag = rng.choice((".el7", ".el8_5", ".el9", ".el10_0", ".fc39", ".amzn2"))
    ending, flavour = rng.choice((("", ""), ("+rt", "rt"), ("+debug", "debug"), ("+64k", "64k"), (".debug", "debug")))
    return Release(grammar, version, number + tag, flavour, rng.choice(("x86_64", "aarch64")), ending)


def test_made_names_survive_the_round_trip() -> None:
    rng = random.Random(SEED)
    for _ in range(5000):
        release = made_release(rng)
        assert parse_release(release.text, release.grammar) == release


def test_the_order_is_total() -> None:
    rng = random.Random(SEED)
    for grammar in Grammar:
        names = {
            release.text: release for release in (made_release(rng) for _ in range(400)) if release.grammar is grammar
        }
        real = [parse_release(kernel["release"]) for kernel in KERNELS]
        names.update({release.text: release for release in real if release.grammar is grammar})
        keys = {text: release_key(release) for text, release in names.items()}
        ordered = sorted(keys, key=lambda text: keys[text])
        for one, other in itertools.pairwise(ordered):
            assert keys[one] < keys[other], (one, other)
            assert not keys[other] < keys[one]
        for one, middle, other in (sorted(rng.sample(ordered, 3), key=ordered.index) for _ in range(500)):
            assert keys[one] < keys[middle] < keys[other]
            assert keys[one] < keys[other]


@pytest.mark.parametrize(
    ("text", "line", "enterprise"),
    [
        ("6.12.107+deb12-amd64", "6.12", None),
        ("5.4.0-128-generic", "5.4", None),
        ("4.18.0-348.el8.x86_64", "4.18", (8, None)),
        ("4.18.0-553.8.1.el8_10.x86_64", "4.18", (8, 10)),
        ("5.14.0-162.12.1.el9_1.0.2.x86_64", "5.14", (9, 1)),
        ("4.14.268-205.500.amzn2.x86_64", "4.14", None),
    ],
)
def test_line_and_tag(text: str, line: str, enterprise: tuple[int, int | None] | None) -> None:
    release = parse_release(text)
    assert (release.line, release.enterprise) == (line, enterprise)


def test_the_build_of_every_real_uname_v() -> None:
    named = [kernel for kernel in KERNELS if kernel.get("uname_v")]
    for kernel in named:
        assert build_of_version(kernel["uname_v"]) == kernel["build"]
    assert len(named) > 300
