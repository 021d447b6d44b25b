"""Which driver a host gets: a table of hosts and offers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.verdict import Outcome
from kdriver.loader.choice import DEFAULT_ORDER, choose
from kdriver.loader.host import Host
from kdriver.repository.entries import DriverEntry, KernelEntry
from tests.fakes.published import VERSION

HOST = Host(
    release="6.1.0-56-amd64",
    build="6.1.192-2",
    version="",
    machine="x86_64",
    distro="debian",
    os_id="debian",
    os_version_id="12",
    os_name="Debian",
    btf=True,
    lockdown="none",
    enforces_signatures=False,
    has_modules=True,
    config="",
    container="",
    capabilities=0,
)
CORE, BPF, KMOD = DriverKind.CORE, DriverKind.BPF, DriverKind.KMOD


def offer(
    kind: DriverKind, outcome: Outcome = Outcome.PASSED, version: str = "0.1.0", *, signed: bool = False
) -> DriverEntry:
    driver = replace(VERSION, version=version)
    reason = "failed verification: openat" if outcome is Outcome.FAILED else "nobody tried"
    return DriverEntry(
        kind, f"{kind}-{version}", 1, "kdriver", driver, "cc", "", signed, outcome, reason, "", "", "", (), ""
    )


def entry(*drivers: DriverEntry) -> KernelEntry:
    return KernelEntry("debian/x86_64/6.1.0-56-amd64/6.1.192-2", "debian", "x86_64", "r", "b", drivers)


ALL = (offer(CORE), offer(BPF), offer(KMOD))


@pytest.mark.parametrize(
    ("host", "offers", "kinds", "expected"),
    [
        pytest.param(HOST, ALL, DEFAULT_ORDER, CORE, id="core first"),
        pytest.param(replace(HOST, btf=False), ALL, DEFAULT_ORDER, BPF, id="no BTF: bpf"),
        pytest.param(HOST, ALL, (KMOD,), KMOD, id="the kind that was asked for"),
        pytest.param(HOST, ALL, (KMOD, CORE), KMOD, id="the order that was asked for"),
        pytest.param(HOST, (offer(KMOD),), DEFAULT_ORDER, KMOD, id="what there is"),
        pytest.param(
            HOST, (offer(CORE, Outcome.FAILED), offer(BPF)), DEFAULT_ORDER, BPF, id="a failed one is passed over"
        ),
        pytest.param(HOST, (offer(CORE, Outcome.NOT_VERIFIED), offer(KMOD)), DEFAULT_ORDER, KMOD, id="not verified"),
        pytest.param(replace(HOST, lockdown="confidentiality"), ALL, DEFAULT_ORDER, None, id="locked down"),
        pytest.param(replace(HOST, lockdown="integrity"), ALL, (KMOD,), None, id="locked down, unsigned module"),
        pytest.param(
            replace(HOST, lockdown="integrity"), (offer(KMOD, signed=True),), (KMOD,), KMOD, id="locked down, signed"
        ),
        pytest.param(replace(HOST, lockdown="integrity"), ALL, DEFAULT_ORDER, CORE, id="integrity lets eBPF be"),
        pytest.param(replace(HOST, enforces_signatures=True), ALL, (KMOD,), None, id="signatures enforced"),
        pytest.param(replace(HOST, enforces_signatures=None), ALL, (KMOD,), KMOD, id="enforcement unknown"),
        pytest.param(replace(HOST, has_modules=False), ALL, (KMOD, BPF), BPF, id="no loadable modules"),
        pytest.param(HOST, (), DEFAULT_ORDER, None, id="nothing published"),
    ],
)
def test_choice(
    host: Host, offers: tuple[DriverEntry, ...], kinds: tuple[DriverKind, ...], expected: DriverKind | None
) -> None:
    choice = choose(host, entry(*offers), kinds)
    assert (choice.driver.kind if choice.driver else None) == expected
    tried = [one.kind for one in choice.attempts]
    assert tried == list(kinds[: len(tried)])
    assert all(one.reason for one in choice.attempts)
    assert [one.accepted for one in choice.attempts].count(True) == (expected is not None)


def test_an_unverified_driver_needs_to_be_allowed() -> None:
    offers = entry(offer(KMOD, Outcome.NOT_VERIFIED))
    refused = choose(HOST, offers, (KMOD,))
    assert refused.driver is None
    assert refused.attempts[0].reason == "not verified (nobody tried); --allow-unverified would take it"
    assert choose(HOST, offers, (KMOD,), allow_unverified=True).driver is not None


def test_a_failed_driver_cannot_be_allowed() -> None:
    choice = choose(HOST, entry(offer(KMOD, Outcome.FAILED)), (KMOD,), allow_unverified=True)
    assert choice.driver is None
    assert choice.attempts[0].reason == "failed verification: openat"


def test_an_older_version_that_passed_serves_while_the_newest_is_not_good() -> None:
    choice = choose(HOST, entry(offer(KMOD, Outcome.FAILED, "0.2.0"), offer(KMOD, version="0.1.0")), (KMOD,))
    assert choice.driver and choice.driver.driver.version == "0.1.0"


def test_whether_the_host_or_the_repository_rules_everything_out_is_told() -> None:
    assert choose(replace(HOST, btf=False), entry(offer(CORE))).refused_by_host
    assert not choose(HOST, entry(offer(CORE, Outcome.FAILED))).refused_by_host


@pytest.mark.parametrize(
    ("host", "signed"),
    [
        pytest.param(HOST, False, id="no demand: the unsigned file"),
        pytest.param(replace(HOST, lockdown="integrity"), True, id="locked down: the signed one"),
        pytest.param(replace(HOST, enforces_signatures=True), True, id="signatures enforced: the signed one"),
    ],
)
def test_signed_module_is_taken_where_the_kernel_demands_one(host: Host, signed: bool) -> None:
    choice = choose(host, entry(offer(KMOD), offer(KMOD, signed=True)), (KMOD,))
    assert choice.driver is not None
    assert choice.driver.signed is signed
    assert (", signed," in choice.attempts[0].reason) is signed


def test_older_signed_module_is_taken_where_the_newest_has_no_signature() -> None:
    locked = replace(HOST, lockdown="integrity")
    choice = choose(locked, entry(offer(KMOD, version="0.2.0"), offer(KMOD, signed=True)), (KMOD,))
    assert choice.driver is not None
    assert choice.driver.driver.version == "0.1.0"
