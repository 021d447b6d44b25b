"""Loading: choose, fetch, check, and only then touch the kernel; the former driver goes when the new one is checked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from kdriver.core.artifact import DriverKind
from kdriver.core.errors import LoadError
from kdriver.inspect.elf import read_module, read_section
from kdriver.loader.choice import DEFAULT_ORDER, Choice
from kdriver.loader.host import Host
from kdriver.loader.modulecheck import check_module
from kdriver.loader.modules import KernelModules, LoadedModule, explain_insert, explain_remove
from kdriver.loader.resolve import explain_no_driver, fetch_driver, resolve
from kdriver.loader.state import Installed, State, boot_id
from kdriver.loader.trust import trusted
from kdriver.repository.client import RepositoryClient

_CHECK_TIMEOUT_S = 120.0


class Outcome(StrEnum):
    """What a run of the loader did."""

    LOADED = "loaded"
    INSTALLED = "installed"
    ALREADY = "already loaded"
    WOULD_LOAD = "would load"


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the user asks for. kinds: in order of preference. parameters: for the module, `name=value` separated by
    spaces. root: where the host's files are."""

    repo: str
    kinds: tuple[DriverKind, ...] = DEFAULT_ORDER
    trust_file: Path | None = None
    trust_on_first_use: bool = False
    allow_unverified: bool = False
    parameters: str = ""
    root: Path = Path("/")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What happened. trust: where the trusted root came from. evidence: what was checked, one line each. replaced:
    the digest of the driver that went, empty when there was none."""

    host: Host
    choice: Choice
    outcome: Outcome
    trust: str
    evidence: tuple[str, ...] = ()
    replaced: str = ""
    installed: Installed | None = None

    def to_json(self) -> dict[str, Any]:
        """The document that `kdriver load --json` prints."""
        return {
            "outcome": str(self.outcome),
            "host": self.host.to_json(),
            "choice": self.choice.to_json(),
            "trust": self.trust,
            "evidence": list(self.evidence),
            "replaced": self.replaced,
            "installed": self.installed.to_json() if self.installed else None,
        }


class ObjectCheck(Protocol):
    """Tries an eBPF object on this kernel."""

    def __call__(self, capture: Path, driver: Path) -> str:
        """Returns what was found out, one line. Raises LoadError when the kernel refuses the object."""


def check_object(capture: Path, driver: Path) -> str:
    """Let the capture tool load the object and say so; it stays unattached. Raises LoadError with the tool's words."""
    argv = [str(capture), "--driver", str(driver), "--check"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_CHECK_TIMEOUT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise LoadError(
            f"{driver.name}: its check did not end in {_CHECK_TIMEOUT_S:.0f} s", hint="Try `kdriver load --kind kmod`."
        ) from error
    except OSError as error:
        raise LoadError(
            f"{capture}: cannot be run: {error.strerror}", hint="Allow programs to run from there."
        ) from error
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        raise LoadError(
            f"{driver.name}: the kernel refuses it: {words[-1]}", hint="Try another kind, such as --kind kmod."
        )
    return f"{driver.name}: the kernel accepts its programs"


def plan_load(request: LoadRequest, host: Host, state: State) -> LoadReport:
    """Look and choose, change nothing: neither the kernel nor what the host remembers."""
    with trusted(state, request.repo, request.trust_file, request.trust_on_first_use, keep=False) as trust:
        client = RepositoryClient(request.repo, trust)
        client.refresh()
        choice = _chosen(client, host, request)
        return LoadReport(host, choice, Outcome.WOULD_LOAD, trust.how)


def run_load(
    request: LoadRequest,
    host: Host,
    state: State,
    modules: KernelModules,
    check: ObjectCheck = check_object,
) -> LoadReport:
    """Find, fetch, check and load the driver. Does nothing when that very driver is loaded already.

    Raises NotFoundError, DownloadError, IntegrityError and LoadError; then what was loaded before is still loaded, and
    no file of the new driver is left.
    """
    with state.locked():
        installed = state.installed()
        with trusted(state, request.repo, request.trust_file, request.trust_on_first_use) as trust:
            client = RepositoryClient(request.repo, trust)
            client.refresh()
            choice = _chosen(client, host, request)
            assert choice.driver is not None
            folder = state.drivers / choice.driver.artifact
            expires = client.expires()
            current = _current(installed, choice, modules)
            if current is not None:
                kept = _parameters_kept(current, request)
                return LoadReport(host, choice, Outcome.ALREADY, trust.how, kept, installed=current)
            fresh = not folder.exists()
            try:
                driver, tool = fetch_driver(client, choice, folder)
            except BaseException:
                _discard(folder, fresh)
                raise
        record = Installed(
            kind=choice.driver.kind,
            name=choice.driver.name,
            artifact=choice.driver.artifact,
            path=str(driver),
            capture=str(tool or ""),
            kernel=choice.kernel.key,
            repo=client.url,
            boot_id=boot_id(),
            outcome=str(choice.driver.outcome),
            parameters=request.parameters,
            expires=expires.isoformat(timespec="seconds"),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            entry=choice.driver.to_json(),
        )
        try:
            outcome, evidence = _put_in_place(record, installed, host, modules, check, request.root)
        except BaseException:
            _discard(folder, fresh)
            raise
        state.record(record)
        replaced = installed.artifact if installed and installed.artifact != record.artifact else ""
        return LoadReport(host, choice, outcome, trust.how, evidence, replaced, record)


def plan_unload(state: State, modules: KernelModules, default_name: str) -> tuple[str, ...]:
    """What run_unload would do now, one line each; empty when there is nothing to do. Changes nothing."""
    installed = state.installed()
    name = installed.name if installed else default_name
    steps = [f"{name}: would be unloaded"] if modules.loaded(name) is not None else []
    if installed is not None:
        steps.append(f"{Path(installed.path).name} ({installed.artifact[:12]}): would be removed from this host")
    return tuple(steps)


def run_unload(state: State, modules: KernelModules, default_name: str) -> tuple[str, ...]:
    """Unload the module, forget the driver. Returns what was done, one line each; empty when there was nothing to do.

    Raises LoadError when the module is in use or may not be unloaded; then nothing was changed."""
    with state.locked():
        installed = state.installed()
        name = installed.name if installed else default_name
        done = []
        loaded = modules.loaded(name)
        if loaded is not None:
            _remove(modules, loaded)
            done.append(f"{name}: unloaded")
        if installed is not None:
            done.append(f"{Path(installed.path).name} ({installed.artifact[:12]}): removed from this host")
            state.forget()
        return tuple(done)


def _chosen(client: RepositoryClient, host: Host, request: LoadRequest) -> Choice:
    choice = resolve(client, host, request.kinds, allow_unverified=request.allow_unverified)
    if choice.driver is None:
        raise explain_no_driver(choice, host)
    return choice


def _current(installed: Installed | None, choice: Choice, modules: KernelModules) -> Installed | None:
    """The installed driver, when it is the chosen one and really in place."""
    driver = choice.driver
    if installed is None or driver is None or installed.artifact != driver.artifact:
        return None
    if not _is_file_of(Path(installed.path), installed.artifact):
        return None
    if driver.kind is not DriverKind.KMOD:
        return installed
    loaded = modules.loaded(installed.name)
    return installed if loaded is not None and same_module(loaded, Path(installed.path)) else None


def _parameters_kept(current: Installed, request: LoadRequest) -> tuple[str, ...]:
    """What to say of parameters that were asked for and are not those that the module was loaded with."""
    if current.kind is not DriverKind.KMOD or request.parameters in ("", current.parameters):
        return ()
    return (f"parameters stay as they are ({current.parameters or 'none'}); `kdriver unload` first to change them",)


def _is_file_of(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def same_module(loaded: LoadedModule, path: Path) -> bool:
    """Whether the loaded module came from that very file: by its build id, else by its source version."""
    note = read_section(path, ".note.gnu.build-id")
    if note and loaded.build_id:
        return note == loaded.build_id
    srcversion = read_module(path).value("srcversion")
    return bool(srcversion) and srcversion == loaded.srcversion


def _put_in_place(
    record: Installed,
    former: Installed | None,
    host: Host,
    modules: KernelModules,
    check: ObjectCheck,
    root: Path,
) -> tuple[Outcome, tuple[str, ...]]:
    driver = Path(record.path)
    if record.kind is not DriverKind.KMOD:
        if not record.capture:
            raise LoadError(f"{driver.name}: was published without kd-capture", hint="Publish it again with --capture.")
        accepted = check(Path(record.capture), driver)
        still = f"the module {record.name} is still loaded; `kdriver unload` takes both away"
        return Outcome.INSTALLED, (accepted, still) if modules.loaded(record.name) else (accepted,)
    evidence = check_module(driver, host.release, root)
    loaded = modules.loaded(record.name)
    if loaded is not None and same_module(loaded, driver):
        return Outcome.ALREADY, evidence
    if loaded is not None:
        _remove(modules, loaded)
    try:
        modules.insert(driver, record.parameters)
    except OSError as error:
        refusal = explain_insert(error, driver.name, modules.log_lines(record.name))
        if loaded is not None and former is not None and Path(former.path).is_file():
            raise _after_return(refusal, former, modules) from error
        raise refusal from error
    return Outcome.LOADED, evidence


def _after_return(refusal: LoadError, former: Installed, modules: KernelModules) -> LoadError:
    """Load the former module again, and say whether that worked."""
    try:
        modules.insert(Path(former.path), former.parameters)
    except OSError as error:
        return LoadError(
            f"{refusal.message}; the former driver cannot be loaded again: {error.strerror}", hint=refusal.hint
        )
    return LoadError(f"{refusal.message}; the former driver is loaded again", hint=refusal.hint)


def _remove(modules: KernelModules, loaded: LoadedModule) -> None:
    try:
        modules.remove(loaded.name)
    except OSError as error:
        raise explain_remove(error, loaded) from error


def _discard(folder: Path, fresh: bool) -> None:
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
