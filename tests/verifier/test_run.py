"""One verdict for each kernel and driver, whatever the guests do: retries, second boots, bugs, interruptions."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdriver.catalogue.load import load_catalogue
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import DownloadError, ExitCode
from kdriver.core.verdict import Fault, Outcome
from kdriver.verifier.image import GuestKernel
from kdriver.verifier.plan import DriverUnderTest, Limits
from kdriver.verifier.run import Bench, Verification, Verified, sweep_workplaces, verify_kernel, verify_kernels
from kdriver.verifier.verdicts import qemu_version
from tests.fakes.driver_files import driver_files
from tests.fakes.guest_lines import RELEASE, ended, good_run, hello, write_boots
from tests.fakes.guest_tools import FakeTools
from tests.fakes.qemu import HELLO, write_qemu

KEY = f"debian/x86_64/{RELEASE}/1.2.3-1"
CATALOGUE = load_catalogue()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))


def _bench(tmp_path: Path, qemu: str, **changes: Any) -> Bench:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    tools = FakeTools(program, program, program, program)
    return replace(Bench(tools, CATALOGUE, qemu, limits=Limits(boot_s=10, total_s=10)), **changes)


def _verification(tmp_path: Path, *kinds: DriverKind, key: str = KEY) -> Verification:
    drivers = []
    for kind in kinds:
        path = tmp_path / kind.file_name
        content = driver_files(RELEASE)[kind]
        path.write_bytes(content)
        drivers.append(DriverUnderTest(kind, "kdriver", path, hashlib.sha256(content).hexdigest(), "1.0.0"))
    kernel = GuestKernel(tmp_path / "vmlinux", RELEASE, "e" * 64, pvh=True)
    return Verification(key, RELEASE, lambda: kernel, tuple(drivers))


def _boots(tmp_path: Path) -> int:
    return int((tmp_path / "count").read_text())


def _said(verified: tuple[Verified, ...]) -> list[tuple[str, Outcome, str]]:
    return [(one.verdict.kind, one.verdict.outcome, one.verdict.reason) for one in verified]


def test_all_kinds_pass_in_one_boot(tmp_path: Path) -> None:
    lines = ended([hello(), *good_run("kmod"), *good_run("bpf", tid=81), *good_run("core", tid=91)])
    qemu = write_boots(tmp_path, lines)
    verified = verify_kernel(_verification(tmp_path, *reversed(DriverKind)), _bench(tmp_path, qemu))
    assert _said(verified) == [(str(kind), Outcome.PASSED, "") for kind in DriverKind]
    assert _boots(tmp_path) == 1
    facts = dict(verified[0].verdict.facts)
    assert (facts["qemu"], facts["accelerator"], facts["started_by"]) == ("9.9.9", "tcg", "pvh")
    assert len(facts["console_sha256"]) == 64
    assert verified[0].verdict.image_sha256 == "e" * 64


def test_drivers_that_contradict_each_other_fail(tmp_path: Path) -> None:
    runs = []
    for kind in DriverKind:
        run = good_run(kind)
        if kind is DriverKind.CORE:
            del run[3]["event"]["params"]["oldfd"]
        runs += run
    verified = verify_kernel(
        _verification(tmp_path, *DriverKind), _bench(tmp_path, write_boots(tmp_path, ended([hello(), *runs])))
    )
    assert [one.verdict.outcome for one in verified] == [Outcome.PASSED, Outcome.PASSED, Outcome.FAILED]
    agreement = [text for text in verified[2].verdict.failures if text.startswith("agreement: ")]
    assert agreement == ["agreement: case dup, dup.oldfd: no such parameter here, kmod: 0; bpf: 0"]


def test_a_driver_that_breaks_the_guest_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    together = [hello(), *good_run("core")[:1]]
    first = [hello(), *good_run("kmod")[:1]]
    second = ended([hello(), *good_run("bpf"), *good_run("core")])
    qemu = write_boots(tmp_path, together, first, second)
    verified = verify_kernel(_verification(tmp_path, *DriverKind), _bench(tmp_path, qemu))
    assert _said(verified) == [
        ("kmod", Outcome.FAILED, "the guest ended in stage kmod load: Kernel panic - not syncing: made up"),
        ("bpf", Outcome.PASSED, ""),
        ("core", Outcome.PASSED, ""),
    ]
    assert _boots(tmp_path) == 4  # the last one of bpf and core, of which core's turn was when the first guest broke
    turns = dict(verified[0].verdict.facts)["turns"]
    assert turns.startswith("one driver after another, for together kmod: no driver got its turn")
    assert turns.endswith("; together once more, without those that fail alone: passed")


def test_the_cases_run_once_while_all_drivers_watch(tmp_path: Path) -> None:
    run = good_run("core")
    shared = [{**line, "driver": "core+bpf+kmod"} for line in run if {"expect", "done", "taint_before"} & line.keys()]
    own = [line for line in run if not {"expect", "done", "taint_before"} & line.keys()]
    lines = [*({**line, "driver": str(kind)} for kind in DriverKind for line in own), *shared]
    qemu = write_boots(tmp_path, ended([hello(), *lines]))
    verified = verify_kernel(_verification(tmp_path, *DriverKind), _bench(tmp_path, qemu))
    assert _said(verified) == [(str(kind), Outcome.PASSED, "") for kind in DriverKind]
    assert {dict(one.verdict.facts)["turns"] for one in verified} == {"all drivers at once"}
    assert [one.verdict.events for one in verified] == [1, 1, 1]


def test_what_fails_together_is_judged_by_what_each_driver_does_alone(tmp_path: Path) -> None:
    bad = [good_run(kind, res=9 if kind is DriverKind.BPF else 3) for kind in DriverKind]
    lines = ended([hello(), *(line for run in bad for line in run)])
    verified = verify_kernel(_verification(tmp_path, *DriverKind), _bench(tmp_path, write_boots(tmp_path, lines)))
    assert [one.verdict.outcome for one in verified] == [Outcome.PASSED, Outcome.FAILED, Outcome.PASSED]
    assert _boots(tmp_path) == 2
    assert not any("together" in text for one in verified for text in one.verdict.failures)


def _all_kinds(**res: int) -> list[dict[str, Any]]:
    """A guest in which the kinds saw these results; 3 is right."""
    return ended([hello(), *(line for kind in DriverKind for line in good_run(kind, res=res.get(str(kind), 3)))])


def test_what_only_fails_together_and_does_so_twice_fails(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, _all_kinds(bpf=9), _all_kinds(), _all_kinds(bpf=9))
    verified = verify_kernel(_verification(tmp_path, *DriverKind), _bench(tmp_path, qemu))
    assert [one.verdict.outcome for one in verified] == [Outcome.PASSED, Outcome.FAILED, Outcome.PASSED]
    assert verified[1].verdict.reason.startswith("together with the other drivers: ")
    assert verified[1].verdict.reason.endswith("; alone it passes")
    assert _boots(tmp_path) == 3


def test_what_fails_together_once_and_not_again_passes(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, _all_kinds(bpf=9), _all_kinds())
    verified = verify_kernel(_verification(tmp_path, *DriverKind), _bench(tmp_path, qemu))
    assert [one.verdict.outcome for one in verified] == [Outcome.PASSED] * 3
    assert dict(verified[1].verdict.facts)["turns"].endswith("without those that fail alone: passed")
    assert _boots(tmp_path) == 3


def test_a_driver_without_a_turn_in_company_is_judged_by_what_it_does_alone(tmp_path: Path) -> None:
    lines = [line for line in _all_kinds() if line.get("driver") != "kmod" and "end" not in line]
    verified = verify_kernel(
        _verification(tmp_path, *DriverKind), _bench(tmp_path, write_boots(tmp_path, ended(lines), _all_kinds()))
    )
    assert _said(verified) == [(str(kind), Outcome.PASSED, "") for kind in DriverKind]
    assert _boots(tmp_path) == 2


def test_a_failure_in_company_is_not_excused_by_another_driver_that_fails_alone(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, _all_kinds(bpf=9), _all_kinds(kmod=9), _all_kinds(bpf=9))
    verified = verify_kernel(_verification(tmp_path, *DriverKind), _bench(tmp_path, qemu))
    assert [one.verdict.outcome for one in verified] == [Outcome.FAILED, Outcome.FAILED, Outcome.PASSED]
    assert verified[1].verdict.reason.startswith("together with the other drivers: ")
    assert _boots(tmp_path) == 3


def test_one_kind_has_its_turn_alone(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, ended([hello(), *good_run("core", res=9)]))
    (one,) = verify_kernel(_verification(tmp_path, DriverKind.CORE), _bench(tmp_path, qemu))
    assert (one.verdict.outcome, _boots(tmp_path)) == (Outcome.FAILED, 1)


def test_a_kernel_that_boots_the_second_time_is_judged(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, [], ended([hello(), *good_run("core")]))
    verified = verify_kernel(_verification(tmp_path, DriverKind.CORE), _bench(tmp_path, qemu))
    assert _said(verified) == [("core", Outcome.PASSED, "")]
    assert "quiet" in (tmp_path / "argv.1").read_text()
    assert "ignore_loglevel" in (tmp_path / "argv.2").read_text()


def test_a_kernel_that_never_boots_is_not_verified_after_two_tries(tmp_path: Path) -> None:
    verified = verify_kernel(
        _verification(tmp_path, DriverKind.KMOD, DriverKind.CORE), _bench(tmp_path, write_boots(tmp_path, []))
    )
    assert _boots(tmp_path) == 2
    for one in verified:
        assert one.verdict.outcome is Outcome.NOT_VERIFIED
        assert one.verdict.reason.startswith(
            "the kernel never reached /init: the guest ended in stage boot: Kernel panic - not syncing: made up"
        )
        assert one.verdict.reason.endswith("; tried twice")


def test_a_killed_qemu_is_tried_once_more_and_is_never_the_drivers_failure(tmp_path: Path) -> None:
    body = f"""{HELLO.replace("1.2.3-toy", RELEASE)}
say '{{"driver":"core","stage":"cases"}}'
echo x >>"{tmp_path}/tries"
kill -9 $$"""
    qemu = write_qemu(tmp_path, body)
    (one,) = verify_kernel(_verification(tmp_path, DriverKind.CORE), _bench(tmp_path, qemu))
    assert (one.verdict.outcome, one.verdict.fault) == (Outcome.NOT_VERIFIED, Fault.MACHINE)
    assert one.verdict.reason == (
        "the guest's machine failed: QEMU was killed by signal 9 in stage core cases; tried twice"
    )
    assert one.console is not None and str(tmp_path) not in json.dumps(one.verdict.to_json())
    assert (tmp_path / "tries").read_text().split() == ["x", "x"]


def test_what_a_killed_verifier_left_is_swept_the_next_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name, age_s in (("kdriver-verify-old", 2 * 86400), ("kdriver-verify-new", 60), ("else", 2 * 86400)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    sweep_workplaces()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "kdriver-verify-new"]


def test_a_kernel_of_another_release_is_not_verified(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, ended([hello("6.6.6"), *good_run("core")]))
    verified = verify_kernel(_verification(tmp_path, DriverKind.CORE), _bench(tmp_path, qemu))
    reason = f"the kernel calls itself 6.6.6; {RELEASE} was expected"
    assert _said(verified) == [("core", Outcome.NOT_VERIFIED, reason)]


def test_a_kind_without_a_driver_is_not_verified_with_its_reason(tmp_path: Path) -> None:
    wanted = replace(_verification(tmp_path), missing=((DriverKind.BPF, "not built: no clang"),))
    qemu = write_boots(tmp_path, [])
    assert _said(verify_kernel(wanted, _bench(tmp_path, qemu))) == [
        ("bpf", Outcome.NOT_VERIFIED, "not built: no clang")
    ]
    assert not (tmp_path / "count").exists()


def test_an_image_that_cannot_be_had_is_the_reason(tmp_path: Path) -> None:
    def no_image() -> GuestKernel:
        raise DownloadError("mirror.example: no answer", hint="Try again.")

    wanted = replace(_verification(tmp_path, DriverKind.KMOD), image=no_image)
    (one,) = verify_kernel(wanted, _bench(tmp_path, write_boots(tmp_path, [])))
    assert (one.verdict.outcome, one.verdict.reason) == (Outcome.NOT_VERIFIED, "mirror.example: no answer")
    assert one.error is not None and one.error.hint == "Try again."


def test_no_space_is_a_reason_and_no_bug(tmp_path: Path) -> None:
    def full() -> GuestKernel:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/scratch/initramfs")

    wanted = replace(_verification(tmp_path, DriverKind.KMOD), image=full)
    (one,) = verify_kernel(wanted, _bench(tmp_path, write_boots(tmp_path, [])))
    assert one.verdict.reason == "this machine: /scratch/initramfs: No space left on device"
    assert one.error is not None and one.error.exit_code is ExitCode.VERIFICATION
    assert one.error.hint == "Check that the cache (KDRIVER_CACHE) and TMPDIR have space and can be written."


def test_a_bug_is_a_verdict_too(tmp_path: Path) -> None:
    def broken() -> GuestKernel:
        raise ZeroDivisionError("oops")

    wanted = replace(_verification(tmp_path, DriverKind.KMOD), image=broken)
    assert _said(verify_kernel(wanted, _bench(tmp_path, write_boots(tmp_path, [])))) == [
        ("kmod", Outcome.NOT_VERIFIED, "bug in kdriver: ZeroDivisionError: oops")
    ]


def test_a_batch_gives_its_verdicts_in_the_order_asked_for(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, ended([hello(), *good_run("core")]))
    keys = [f"{KEY}+{number}" for number in range(4)]
    told: list[str] = []
    verified = verify_kernels(
        [_verification(tmp_path, DriverKind.CORE, key=key) for key in keys],
        _bench(tmp_path, qemu),
        jobs=2,
        on_verified=lambda one: told.append(one.verdict.kernel),
    )
    assert [one.verdict.kernel for one in verified] == keys
    assert sorted(told) == keys


def test_the_slowest_kernels_come_first_and_verdicts_in_the_order_asked_for(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, ended([hello(), *good_run("core")]))
    keys = [f"{KEY}+{number}" for number in (2, 9, 5)]
    told: list[str] = []
    verified = verify_kernels(
        [_verification(tmp_path, DriverKind.CORE, key=key) for key in keys],
        _bench(tmp_path, qemu),
        on_verified=lambda one: told.append(one.verdict.kernel),
        weight=lambda one: float(one.kernel[-1]),
    )
    assert told == sorted(keys, reverse=True)
    assert [one.verdict.kernel for one in verified] == keys


def test_nothing_stays_behind_but_the_console_log(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, ended([hello(), *good_run("core")]))
    (one,) = verify_kernel(_verification(tmp_path, DriverKind.CORE), _bench(tmp_path, qemu))
    assert one.console is not None
    logs = tmp_path / "cache" / "logs" / "verify" / KEY.replace("/", "_")
    assert list(logs.iterdir()) == [one.console]


def test_keep_keeps_the_guests_files(tmp_path: Path) -> None:
    qemu = write_boots(tmp_path, ended([hello(), *good_run("core")]))
    (one,) = verify_kernel(_verification(tmp_path, DriverKind.CORE), _bench(tmp_path, qemu, keep=True))
    assert one.console is not None
    kept = one.console.with_suffix("")
    assert {path.name for path in kept.iterdir()} >= {"initramfs", "results"}


def test_an_interruption_stops_every_guest(tmp_path: Path) -> None:
    qemu = write_qemu(tmp_path, f"echo $$ >>{tmp_path}/pids; exec sleep 60")

    bench = _bench(tmp_path, qemu, stop=threading.Event())
    threading.Timer(0.5, bench.stop.set).start()
    with pytest.raises(KeyboardInterrupt):
        verify_kernels([_verification(tmp_path, DriverKind.CORE)] * 2, bench, jobs=2)
    pids = (tmp_path / "pids").read_text().split()
    assert pids
    assert not [pid for pid in pids if Path("/proc", pid).exists()]


def test_qemu_says_its_version(tmp_path: Path) -> None:
    assert qemu_version(write_qemu(tmp_path, "")) == "9.9.9"
    assert qemu_version(str(tmp_path / "none")) == ""
