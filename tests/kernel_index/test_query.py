"""The words of --distro, --kernel and --flavour."""

from __future__ import annotations

import pytest

from kdriver.core.errors import ConfigError, ExitCode, NotFoundError
from kdriver.core.kernel import Kernel
from kernel_index.query import near_kernels, newest_words, select_kernels


@pytest.fixture(autouse=True)
def own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table that ships with kdriver."""
    monkeypatch.delenv("KDRIVER_DISTROS", raising=False)


def kernel(release: str, version: str, *named_by: str) -> Kernel:
    """A kernel of Debian 12 without packages."""
    flavour = release[release.index("amd64") - 6 :] if "cloud-" in release else "amd64"
    return Kernel("debian", "debian12", release, version, version, "x86_64", flavour, (), named_by=named_by)


KERNELS = (
    kernel("6.1.0-55-amd64", "6.1.192-1"),
    kernel("6.1.0-56-amd64", "6.1.192-2", "linux-image-amd64"),
    kernel("6.1.0-56-cloud-amd64", "6.1.192-2", "linux-image-cloud-amd64"),
    kernel("6.12.95+deb12-amd64", "6.12.95-1~bpo12+1", "bookworm-backports/linux-image-amd64"),
    kernel("6.12.117+deb12-amd64", "6.12.117-1~deb12u1", "linux-image-6.12-amd64"),
    kernel("6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1", "linux-image-6.12-cloud-amd64"),
    kernel("6.1.0-57-amd64", "6.1.193-1"),
    kernel("6.1.0-57-amd64", "6.1.193-2"),
)


@pytest.mark.parametrize(
    ("words", "release"),
    [
        pytest.param("newest", "6.1.0-56-amd64", id="newest"),
        pytest.param("newest:6.1", "6.1.0-56-amd64", id="line"),
        pytest.param("newest:6.12", "6.12.117+deb12-amd64", id="other-line"),
        pytest.param("newest:cloud-amd64", "6.1.0-56-cloud-amd64", id="flavour"),
        pytest.param("newest:6.12:cloud-amd64", "6.12.117+deb12-cloud-amd64", id="both"),
        pytest.param("6.1.0-55-amd64", "6.1.0-55-amd64", id="uname-r"),
        pytest.param("debian/x86_64/6.1.0-57-amd64/6.1.193-1", "6.1.0-57-amd64", id="key"),
    ],
)
def test_one_kernel_is_meant(words: str, release: str) -> None:
    (found,) = select_kernels(KERNELS, distro="debian12", kernel=words)
    assert found.release == release


def test_newest_is_what_the_metapackage_names_not_the_highest_version() -> None:
    (found,) = select_kernels(KERNELS, kernel="newest")
    assert found.package_version == "6.1.192-2"


def test_a_flavour_may_stand_apart() -> None:
    (found,) = select_kernels(KERNELS, kernel="newest:6.12", flavour="cloud-amd64")
    assert found.release == "6.12.117+deb12-cloud-amd64"
    assert len(select_kernels(KERNELS, flavour="cloud-amd64")) == 2


def test_without_words_all_are_meant() -> None:
    assert select_kernels(KERNELS) == KERNELS == select_kernels(KERNELS, distro="debian")


def test_a_name_of_several_builds_lists_them() -> None:
    with pytest.raises(ConfigError) as caught:
        select_kernels(KERNELS, kernel="6.1.0-57-amd64")
    assert caught.value.exit_code == ExitCode.USAGE and "2 builds" in caught.value.message
    assert caught.value.hint and "6.1.0-57-amd64/6.1.193-1, debian/x86_64/6.1.0-57-amd64/6.1.193-2" in caught.value.hint


@pytest.mark.parametrize(
    ("chosen", "message", "hint"),
    [
        pytest.param({"distro": "debain12"}, "distribution 'debain12' is not known", "debian12", id="distro"),
        pytest.param({"kernel": "6.1.0-58-amd64"}, "'6.1.0-58-amd64' is not in the index", "6.1.0-5", id="uname-r"),
        pytest.param(
            {"kernel": "debian/x86_64/6.1.0-56-amd64/6.1.192-9"}, "is not in the index", "6.1.192-2", id="key"
        ),
        pytest.param({"kernel": "newest:5.10"}, "no metapackage", "newest:6.12:amd64", id="line"),
        pytest.param({"flavour": "rt-amd64"}, "flavour 'rt-amd64'", "cloud-amd64", id="flavour"),
        pytest.param({"arch": "arm64"}, "has no arm64 kernel", "kdriver index update", id="architecture"),
    ],
)
def test_what_is_not_there_names_what_is(chosen: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        select_kernels(KERNELS, **chosen)
    assert message in caught.value.message and caught.value.hint and hint in caught.value.hint
    assert caught.value.exit_code == ExitCode.NOT_FOUND


@pytest.mark.parametrize("words", ["newest:6.1:6.12", "newest:cloud-amd64:amd64"])
def test_words_that_contradict_are_a_usage_error(words: str) -> None:
    with pytest.raises(ConfigError, match="was not expected"):
        select_kernels(KERNELS, kernel=words)


def test_the_words_that_mean_a_kernel_are_known() -> None:
    assert {key.split("/")[2]: words for key, words in newest_words(KERNELS).items()} == {
        "6.1.0-56-amd64": "newest",
        "6.1.0-56-cloud-amd64": "newest:cloud-amd64",
        "6.12.117+deb12-amd64": "newest:6.12",
        "6.12.117+deb12-cloud-amd64": "newest:6.12:cloud-amd64",
    }


def test_near_names_are_near_by_number_and_of_the_same_flavour() -> None:
    assert near_kernels(KERNELS, "6.1.0-999-amd64", 2) == ("6.1.0-57-amd64", "6.1.0-56-amd64")
    assert near_kernels(KERNELS, "6.12.200+deb12-cloud-amd64", 1) == ("6.12.117+deb12-cloud-amd64",)
    assert near_kernels(KERNELS, "clout-amd64", 1) == ("6.1.0-56-cloud-amd64",)
