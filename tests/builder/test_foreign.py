"""Other people's drivers: what their driver.toml may say, and which folders need none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.foreign import Part, expand
from builder.guest_check import build_check
from builder.source import digest_source, load_source
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ConfigError
from tests.fakes.tiny_kernel import FIXTURES

FOREIGN_DRIVER = FIXTURES / "foreign_driver"
MODULE = 'name = "m"\nversion = "1"\n[kmod]\n'


def write(folder: Path, settings: str) -> Path:
    (folder / "driver.toml").write_text(settings)
    return folder


def test_a_table_for_each_kind_says_how_it_is_built() -> None:
    source = load_source(FOREIGN_DRIVER)
    assert source.foreign is not None
    assert source.kinds == (DriverKind.KMOD, DriverKind.BPF, DriverKind.CORE)
    assert (source.name, source.version.version, source.version.api) == ("knock_knock", "2.5", "")
    verify = ("/check/knock-check", "{kind}", "{driver}")
    module = Part(DriverKind.KMOD, "src/knock-knock.ko", "src", "", ("KNOCK_VERSION={version}",), (), verify)
    assert source.foreign.part(DriverKind.KMOD) == module
    probe = source.foreign.part(DriverKind.BPF)
    assert probe is not None and probe.file == "src/knock.bpf.o"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param('version = "1"\n[kmod]\n', "name must be a module's name", id="no name"),
        pytest.param('name = "m"\n[kmod]\n', "version must be a text", id="no version"),
        pytest.param(MODULE + "folders = []", "kmod.folders: no such key", id="unknown key"),
        pytest.param("flags = 1\n" + MODULE, "flags: no such key", id="unknown key at the top"),
        pytest.param(MODULE + 'folder = "../x"', "kmod.folder must be a path within", id="path that leads out"),
        pytest.param(MODULE + 'folder = "gone"', "kmod.folder: gone is no folder", id="no such folder"),
        pytest.param(MODULE + 'commands = ["make all"]', "kmod.commands must be a list of commands", id="no words"),
        pytest.param(MODULE + 'commands = [["make"]]', "kmod.file must name what", id="nothing named"),
        pytest.param(MODULE + 'make = ["K={kdir}"]', "kmod.make: {kdir} is none of", id="unknown placeholder"),
        pytest.param(
            MODULE + 'make = ["V=1"]\ncommands = [["make"]]\nfile = "m.ko"', "in place of make", id="both ways"
        ),
        pytest.param('name = "m"\nversion = "1"\n[core]\n', "core.source must name the C file", id="no source"),
        pytest.param(MODULE + 'verify = ["{headers}"]', "kmod.verify: {headers} is none of", id="not in the guest"),
        pytest.param('kinds = ["bpf"]\n' + MODULE, "kinds must be ['kmod']", id="other kinds"),
        pytest.param(MODULE + '[check]\nfiles = ["/bin/true"]', "check.files: '/bin/true' is no path", id="outside"),
    ],
)
def test_every_mistake_is_named_before_anything_is_built(settings: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_source(write(tmp_path, settings))
    assert says in caught.value.message


def test_mistakes_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_source(write(tmp_path, "x = 1\n[kmod]\ny = 1\n"))
    assert caught.value.message.count(";") == 3


@pytest.mark.parametrize("file", ["Kbuild", "Makefile"])
@pytest.mark.parametrize("line", ["obj-m := knock.o", "obj-m += a.o", "  obj-$(CONFIG_KNOCK) := knock.o"])
def test_a_plain_kbuild_module_needs_only_its_name(file: str, line: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(f"all:\n{line}\n")
    source = load_source(tmp_path, "knock")
    assert source.foreign is not None
    assert source.foreign.parts == (Part(DriverKind.KMOD, "knock.ko"),)
    assert source.version.version == "0"


def test_a_plain_kbuild_module_without_a_name_is_asked_for_it(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := knock.o\n")
    with pytest.raises(ConfigError) as caught:
        load_source(tmp_path)
    assert "--name" in (caught.value.hint or "")


def test_dkms_says_the_version_of_a_plain_module(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("obj-m := knock.o\n")
    (tmp_path / "dkms.conf").write_text('PACKAGE_NAME="knock"\nPACKAGE_VERSION="0.12.7"\n')
    assert load_source(tmp_path, "knock").version.version == "0.12.7"


def test_a_makefile_without_modules_is_no_driver(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n\techo obj-m\n")
    with pytest.raises(ConfigError) as caught:
        load_source(tmp_path, "knock")
    assert "no Kbuild or Makefile with obj-m" in caught.value.message


def test_another_name_than_driver_toml_says_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        load_source(FOREIGN_DRIVER, "other")
    assert "the driver is called knock-knock, --name says other" in caught.value.message


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        pytest.param("src/knock.c", True, id="source"),
        pytest.param("configure.sh", True, id="any other file"),
        pytest.param("src/knock.o", False, id="object"),
        pytest.param("src/knock.mod.c", False, id="written by modpost"),
        pytest.param("src/Module.symvers", False, id="written by kbuild"),
        pytest.param(".git/HEAD", False, id="hidden"),
    ],
)
def test_the_digest_is_of_what_people_wrote(file: str, counts: bool, tmp_path: Path) -> None:
    folder = tmp_path / "driver"
    shutil.copytree(FOREIGN_DRIVER, folder)
    before = digest_source(load_source(folder), DriverKind.KMOD, tmp_path)
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "more\n")
    assert (digest_source(load_source(folder), DriverKind.KMOD, tmp_path) != before) is counts


def test_permission_to_execute_counts(tmp_path: Path) -> None:
    folder = tmp_path / "driver"
    shutil.copytree(FOREIGN_DRIVER, folder)
    before = digest_source(load_source(folder), DriverKind.KMOD, tmp_path)
    (folder / "src" / "knock.c").chmod(0o755)
    assert digest_source(load_source(folder), DriverKind.KMOD, tmp_path) != before


def test_only_known_placeholders_are_replaced() -> None:
    assert expand(("{cc}", "a{b}", "${X}", "x{name}y"), {"cc": "gcc", "name": "n"}) == ("gcc", "a{b}", "${X}", "xny")


def test_check_programs_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "driver"
    folder.mkdir()
    (folder / "check.c").write_text("int main(void) { return 0; }\n")
    check = '[check]\ncommands = [["{cc}", "-static", "-o", "out/check", "check.c"]]\nfiles = ["out/check"]\n'
    (folder / "out").mkdir()
    (folder / "out" / "keep").touch()
    (file,) = build_check(load_source(write(folder, MODULE + check)))
    assert file.name == "check"
    made = file.stat().st_mtime_ns
    assert build_check(load_source(folder))[0].stat().st_mtime_ns == made


def test_a_check_that_needs_libraries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "check.c").write_text("int main(void) { return 0; }\n")
    check = '[check]\ncommands = [["{cc}", "-o", "check", "check.c"]]\nfiles = ["check"]\n'
    with pytest.raises(ConfigError) as caught:
        build_check(load_source(write(tmp_path, MODULE + check)))
    assert "shared libraries" in caught.value.message and "-static" in (caught.value.hint or "")


def test_two_check_files_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tmp_path / "cache"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "check").write_text(f"#!/bin/{name}\n")
    check = '[check]\nfiles = ["one/check", "two/check"]\n'
    with pytest.raises(ConfigError) as caught:
        build_check(load_source(write(tmp_path, MODULE + check)))
    assert caught.value.message.startswith("driver.toml: check.files names two files called check")
