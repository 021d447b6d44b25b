"""Loading, from a real repository into a kernel that is a fake: what is loaded, replaced, refused and left behind."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError, ExitCode, IntegrityError, KdriverError, LoadError, NotFoundError
from kdriver.core.verdict import Outcome as VerdictOutcome
from kdriver.loader.load import (
    LoadReport,
    LoadRequest,
    Outcome,
    check_object,
    plan_load,
    plan_unload,
    run_load,
    run_unload,
)
from kdriver.loader.state import State
from kdriver.loader.status import read_status
from tests.fakes.kernel_modules import FakeModules
from tests.fakes.module_file import module_file
from tests.fakes.published import Published, candidate, content, kernel
from tests.loader.test_choice import HOST

KMOD = (DriverKind.KMOD,)


class Place:
    """A repository, a host's folder and a kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.published = Published(folder / "published")
        self.state = State(folder / "state")
        self.modules = FakeModules()
        self.trust = folder / "root.json"
        self.trust.write_bytes(self.published.root)
        self.checked: list[str] = []

    def publish(self, salt: str = "", kind: DriverKind = DriverKind.KMOD, version: str = "0.1.0") -> str:
        one = candidate(self.folder, kind=kind, salt=salt, version=version)
        self.published.publish(one)
        return one.artifact.sha256

    def check(self, capture: Path, driver: Path) -> str:
        assert capture.is_file()
        self.checked.append(driver.name)
        return f"{driver.name}: accepted"

    def load(self, **changes: object) -> LoadReport:
        request = LoadRequest(self.published.url, KMOD, self.trust, root=self.folder / "host")
        return run_load(replace(request, **changes), HOST, self.state, self.modules, self.check)  # type: ignore[arg-type]

    def files(self) -> dict[str, bytes]:
        """What the host has of drivers and records."""
        paths = [path for path in self.state.folder.rglob("*") if path.is_file() and path.name != "lock"]
        return {str(path.relative_to(self.state.folder)): path.read_bytes() for path in paths}


@pytest.fixture(name="place")
def place_of_test(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def refused(place: Place, error: type[KdriverError], match: str) -> Iterator[pytest.ExceptionInfo[KdriverError]]:
    """The block fails; afterwards the kernel and the host's files are as before."""
    loaded, files = dict(place.modules.present), place.files()
    with pytest.raises(error, match=match) as caught:
        yield caught
    assert place.modules.present == loaded
    assert {name for name in place.files() if "trust/" not in name} == {name for name in files if "trust/" not in name}


def test_the_module_of_this_kernel_is_loaded_with_its_record(place: Place) -> None:
    digest = place.publish()
    report = place.load(parameters="size=8")
    assert report.outcome is Outcome.LOADED
    assert place.modules.calls == [f"insert {digest[:8]} size=8"]
    installed = place.state.installed()
    assert installed and installed.artifact == digest
    assert Path(installed.path).read_bytes() == content(DriverKind.KMOD)
    assert Path(installed.capture).stat().st_mode & 0o111
    status = read_status(place.state, place.modules, "kdriver")
    assert status.in_place
    assert json.loads(json.dumps(status.to_json()))["module"]["parameters"] == {"size": "8"}


def test_other_parameters_for_a_loaded_module_are_not_passed_over_in_silence(place: Place) -> None:
    place.publish()
    place.load(parameters="size=8")
    report = place.load(parameters="size=16")
    assert report.outcome is Outcome.ALREADY
    assert report.evidence == ("parameters stay as they are (size=8); `kdriver unload` first to change them",)
    assert place.load(parameters="size=8").evidence == place.load().evidence == ()


def test_loading_again_does_nothing(place: Place) -> None:
    place.publish()
    place.load()
    calls = list(place.modules.calls)
    files = place.files()
    report = place.load(trust_file=None)
    assert (report.outcome, report.trust) == (Outcome.ALREADY, "pinned")
    assert place.modules.calls == calls
    assert {name: text for name, text in place.files().items() if "trust/" not in name} == {
        name: text for name, text in files.items() if "trust/" not in name
    }


def test_after_a_reboot_the_module_is_loaded_again(place: Place) -> None:
    place.publish()
    place.load()
    place.modules.present.clear()
    assert place.load().outcome is Outcome.LOADED


def test_a_module_that_somebody_else_loaded_from_the_same_file_is_adopted(place: Place) -> None:
    place.publish()
    place.load()
    (place.state.folder / "installed.json").unlink()
    assert place.load().outcome is Outcome.ALREADY
    assert place.state.installed() is not None


def test_a_new_version_is_checked_before_the_old_one_goes(place: Place) -> None:
    old = place.publish("old")
    place.load()
    new = place.publish("new", version="0.2.0")
    report = place.load()
    assert place.modules.calls == [f"insert {old[:8]}", "remove kdriver", f"insert {new[:8]}"]
    assert report.replaced == old
    assert [path.name for path in place.state.drivers.iterdir()] == [new]


def test_a_new_version_that_does_not_fit_leaves_the_old_one_loaded(place: Place) -> None:
    place.publish("old")
    place.load()
    strange = module_file(vermagic="6.1.0-50-amd64 SMP ")
    place.published.publish(candidate(place.folder, driver=strange, version="0.2.0"))
    with refused(place, LoadError, "was built for 6.1.0-50-amd64; this host runs 6.1.0-56-amd64"):
        place.load()
    assert not any(call.startswith("remove") for call in place.modules.calls)


def test_a_module_in_use_stays_and_says_who_is_to_stop(place: Place) -> None:
    place.publish("old")
    place.load()
    place.publish("new", version="0.2.0")
    place.modules.in_use.add("kdriver")
    with refused(place, LoadError, r"kdriver: is in use \(0 references\) and stays loaded") as caught:
        place.load()
    assert caught.value.hint and "fuser" in caught.value.hint


def test_when_the_kernel_refuses_the_new_version_the_old_one_comes_back(place: Place) -> None:
    place.publish("old")
    place.load()
    place.publish("new", version="0.2.0")
    place.modules.refuse = [errno.ENOEXEC]
    with refused(place, LoadError, "the former driver is loaded again"):
        place.load()


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (errno.EPERM, "this process may not load modules (EPERM)", "lockdown"),
        (errno.ENOEXEC, "the module does not fit this kernel (ENOEXEC)", "this very kernel build"),
        (errno.EKEYREJECTED, "the kernel demands a signature by a key that it trusts (EKEYREJECTED)", "mokutil"),
        (errno.ENOKEY, "it is signed by a key that the kernel does not know (ENOKEY)", "mokutil"),
        (errno.EACCES, "a security policy (SELinux?) forbids it (EACCES)", "audit log"),
        (errno.ENOENT, "it needs a symbol that this kernel does not have (ENOENT)", "this very kernel build"),
        (errno.EINVAL, "a parameter or the module is invalid (EINVAL)", "--param"),
        (errno.ENOMEM, "the kernel is out of memory for it (ENOMEM)", "smaller buffers"),
    ],
)
def test_a_refusal_of_the_kernel_is_explained(place: Place, code: int, message: str, hint: str) -> None:
    place.publish()
    place.modules.refuse = [code]
    place.modules.log = ("other: noise", "kdriver: disagrees about version of symbol module_layout")
    with refused(place, LoadError, "the kernel refused the module") as caught:
        place.load()
    assert message in caught.value.message
    assert caught.value.message.endswith("; the kernel says: kdriver: disagrees about version of symbol module_layout")
    assert caught.value.hint and hint in caught.value.hint
    assert caught.value.exit_code is ExitCode.LOAD


@pytest.mark.parametrize("name", ["kdriver.ko", "kd-capture"])
def test_a_wrong_byte_leaves_nothing_behind(place: Place, name: str) -> None:
    place.publish()
    (path,) = place.published.store.root.glob(f"targets/**/*.{name}")
    path.write_bytes(path.read_bytes() + b"x")
    with refused(place, IntegrityError, "differs from its signed length or digest") as caught:
        place.load()
    assert caught.value.exit_code is ExitCode.INTEGRITY
    assert place.modules.calls == []
    assert place.files() == {}


def test_a_kernel_that_is_not_there_names_the_nearest(place: Place) -> None:
    near = kernel("6.1.0-55-amd64", "6.1.190-1")
    far = kernel("6.12.117+deb12-amd64", "6.12.117-1~deb12u1")
    place.published.publish(candidate(place.folder, far), candidate(place.folder, near))
    with refused(place, NotFoundError, "nearest: ") as caught:
        place.load()
    assert caught.value.message.endswith(
        f"has no driver for debian 6.1.0-56-amd64 (6.1.192-2); nearest: {near.key}, {far.key}"
    )
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def test_another_build_of_the_same_release_is_not_this_kernel(place: Place) -> None:
    other = kernel("6.1.0-56-amd64", "6.1.192-1")
    place.published.publish(candidate(place.folder, other))
    with refused(place, NotFoundError, f"nearest: {other.key}"):
        place.load()


def test_another_vendors_kernel_of_the_same_name_is_not_this_kernel(place: Place) -> None:
    place.published.publish(candidate(place.folder, kernel(distro="rhel")))
    with refused(place, NotFoundError, "has no driver for debian"):
        place.load()


def test_a_kind_that_was_not_published_is_not_found(place: Place) -> None:
    place.publish()
    with refused(place, NotFoundError, "bpf: the repository has none for this kernel") as caught:
        place.load(kinds=(DriverKind.BPF,))
    assert caught.value.hint and "--kind" in caught.value.hint


def test_an_unverified_driver_is_refused_unless_allowed(place: Place) -> None:
    place.published.publish(candidate(place.folder, outcome=None), include_unverified=True)
    with refused(place, LoadError, "not verified") as caught:
        place.load()
    assert caught.value.hint and "--allow-unverified" in caught.value.hint
    assert place.load(allow_unverified=True).outcome is Outcome.LOADED


def test_a_withdrawn_driver_is_refused(place: Place) -> None:
    place.publish()
    place.published.publish(candidate(place.folder, outcome=VerdictOutcome.FAILED))
    with refused(place, LoadError, "failed verification: openat"):
        place.load(allow_unverified=True)


def test_an_unknown_kernel_with_btf_gets_the_core_object_only_when_allowed(place: Place) -> None:
    place.published.publish(candidate(place.folder, kernel("6.1.0-55-amd64", "6.1.190-1"), DriverKind.CORE))
    kinds = (DriverKind.CORE, DriverKind.KMOD)
    with refused(place, NotFoundError, "has no driver") as caught:
        place.load(kinds=kinds)
    assert caught.value.hint and "--allow-unverified would take the CO-RE driver" in caught.value.hint
    report = place.load(kinds=kinds, allow_unverified=True)
    assert (report.outcome, report.choice.kernel.key) == (Outcome.INSTALLED, "any/x86_64")


@pytest.mark.parametrize("kind", [DriverKind.CORE, DriverKind.BPF])
def test_an_ebpf_driver_is_installed_and_tried(place: Place, kind: DriverKind) -> None:
    place.publish(kind=kind)
    report = place.load(kinds=(kind,))
    assert report.outcome is Outcome.INSTALLED
    assert place.checked == [kind.file_name]
    assert place.modules.calls == []
    assert read_status(place.state, place.modules, "kdriver").in_place
    assert place.load(kinds=(kind,)).outcome is Outcome.ALREADY


def test_an_installed_object_that_was_changed_on_the_host_is_fetched_again(place: Place) -> None:
    place.publish(kind=DriverKind.CORE)
    place.load(kinds=(DriverKind.CORE,))
    installed = place.state.installed()
    assert installed
    Path(installed.path).write_bytes(b"changed")
    assert place.load(kinds=(DriverKind.CORE,)).outcome is Outcome.INSTALLED
    assert Path(installed.path).read_bytes() == content(DriverKind.CORE)


def test_an_object_that_the_kernel_refuses_is_not_left_installed(place: Place) -> None:
    place.publish(kind=DriverKind.CORE)
    request = LoadRequest(place.published.url, (DriverKind.CORE,), place.trust)
    place.published.capture.write_text("#!/bin/sh\necho 'libbpf: noise' >&2\necho 'no BTF type found' >&2\nexit 7\n")
    place.publish(kind=DriverKind.CORE)
    with refused(place, LoadError, r"kdriver\.core\.o: the kernel refuses it: no BTF type found"):
        run_load(request, HOST, place.state, place.modules, check_object)


def test_without_a_trusted_root_nothing_is_asked(place: Place) -> None:
    place.publish()
    with pytest.raises(ConfigError, match="this host has no trusted root for it") as caught:
        place.load(trust_file=None)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint and "--trust-on-first-use" in caught.value.hint
    assert place.files() == {}


def test_trust_on_first_use_is_remembered(place: Place) -> None:
    place.publish()
    assert place.load(trust_file=None, trust_on_first_use=True).trust == "first use"
    assert place.load(trust_file=None).trust == "pinned"


def test_a_pinned_root_is_not_replaced_by_what_the_repository_shows(place: Place, tmp_path: Path) -> None:
    place.publish()
    place.load()
    stranger = Published(tmp_path / "stranger")
    stranger.publish(candidate(tmp_path, salt="evil", version="9.0.0"))
    place.published.store.root.rename(tmp_path / "gone")
    stranger.store.root.rename(place.published.store.root)
    with refused(place, IntegrityError, "is not signed by the trusted keys"):
        place.load(trust_file=None, trust_on_first_use=True)


def test_a_dry_run_changes_nothing(place: Place) -> None:
    place.publish()
    request = LoadRequest(place.published.url, KMOD, place.trust)
    report = plan_load(request, HOST, place.state)
    assert report.outcome is Outcome.WOULD_LOAD
    assert not place.state.folder.exists()


def test_two_loaders_do_not_disturb_each_other(place: Place) -> None:
    place.publish()
    with place.state.locked(), pytest.raises(KdriverError, match="another loader is at work"):
        place.load()


def test_unloading_removes_module_and_files_and_keeps_the_trust(place: Place) -> None:
    digest = place.publish()
    place.load()
    planned = plan_unload(place.state, place.modules, "kdriver")
    assert planned == ("kdriver: would be unloaded", f"kdriver.ko ({digest[:12]}): would be removed from this host")
    done = run_unload(place.state, place.modules, "kdriver")
    assert done == ("kdriver: unloaded", f"kdriver.ko ({digest[:12]}): removed from this host")
    assert place.modules.present == {}
    assert all(name.startswith("trust/") for name in place.files())
    assert run_unload(place.state, place.modules, "kdriver") == ()
    assert plan_unload(place.state, place.modules, "kdriver") == ()


def test_a_module_in_use_is_not_unloaded(place: Place) -> None:
    place.publish()
    place.load()
    place.modules.in_use.add("kdriver")
    with refused(place, LoadError, "is in use"):
        run_unload(place.state, place.modules, "kdriver")


def test_status_says_when_the_repositorys_signature_has_ended(place: Place) -> None:
    place.publish()
    place.load()
    assert not read_status(place.state, place.modules, "kdriver").stale
    later = datetime.now(UTC) + timedelta(days=31)
    assert read_status(place.state, place.modules, "kdriver", later).stale


def test_a_state_folder_that_cannot_be_written_is_one_line(place: Place, tmp_path: Path) -> None:
    place.publish()
    (tmp_path / "file").write_text("")
    place.state = State(tmp_path / "file" / "state")
    with pytest.raises(ConfigError, match="cannot be written: Not a directory") as caught:
        place.load()
    assert caught.value.hint and "KDRIVER_STATE" in caught.value.hint


def test_a_module_that_stays_loaded_beside_an_ebpf_driver_is_named(place: Place) -> None:
    place.publish()
    place.publish(kind=DriverKind.CORE)
    place.load()
    report = place.load(kinds=(DriverKind.CORE,))
    assert report.evidence[-1] == "the module kdriver is still loaded; `kdriver unload` takes both away"
    run_unload(place.state, place.modules, "kdriver")
    assert place.modules.present == {}
    assert not place.state.drivers.exists()


def test_what_a_killed_loader_left_half_done_is_cleared(place: Place) -> None:
    digest = place.publish()
    half = [place.state.folder / "trust/.staged-x/metadata", place.state.drivers / digest]
    for folder in half:
        folder.mkdir(parents=True)
    (place.state.drivers / digest / ".part-x").write_bytes(b"half")
    place.load()
    assert not half[0].exists()
    assert not list(place.state.folder.rglob(".part-*"))


def test_a_loader_killed_while_its_trust_was_replaced_still_refuses_a_rollback(place: Place) -> None:
    place.publish(salt="old")
    place.load()
    older = place.folder / "older"
    shutil.copytree(place.published.store.root, older)
    place.publish(salt="new")
    place.load()
    (trusted,) = (place.state.folder / "trust").iterdir()
    trusted.rename(trusted.with_name(f".former-{trusted.name}"))  # as after the first of the two renames
    shutil.rmtree(place.published.store.root)
    older.rename(place.published.store.root)
    with refused(place, IntegrityError, "a rollback"):
        place.load()
    assert list((place.state.folder / "trust").iterdir()) == [trusted]
