"""Names that are close to one that was not found."""

from __future__ import annotations

from kernel_index.nearest import nearest_keys

KEYS = (
    "debian/x86_64/6.1.0-50-amd64/6.1.176-1",
    "debian/x86_64/6.1.0-56-amd64/6.1.192-2",
    "debian/x86_64/6.1.0-56-cloud-amd64/6.1.192-2",
    "debian/x86_64/6.1.0-9-amd64/6.1.27-1",
    "debian/x86_64/6.12.117+deb12-amd64/6.12.117-1~deb12u1",
)


def test_the_same_flavour_comes_before_a_closer_number() -> None:
    assert nearest_keys("6.1.0-55-amd64", "6.1.190-1", KEYS)[:2] == (KEYS[1], KEYS[0])


def test_numbers_are_compared_as_numbers() -> None:
    assert nearest_keys("6.1.0-10-amd64", "6.1.30-1", KEYS)[0] == KEYS[3]


def test_another_build_of_the_same_release_is_nearest() -> None:
    assert nearest_keys("6.1.0-56-amd64", "6.1.192-3", KEYS)[0] == KEYS[1]


def test_no_keys_give_no_names() -> None:
    assert nearest_keys("6.1.0-56-amd64", "6.1.192-3", ()) == ()
