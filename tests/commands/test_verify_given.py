"""`kdriver verify --kernel-image --headers --modules`: a kernel from outside the index, with a made-up QEMU and real
builds for a kernel that does not exist."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kdriver.cli import run
from kdriver.core.errors import ExitCode
from kdriver.verifier.records import read_verdict
from tests.fakes.driver_files import kernel_types
from tests.fakes.guest_lines import RELEASE, ended, good_run, hello, write_boots
from tests.fakes.kernel_images import bzimage
from tests.fakes.tiny_kernel import TOY_DRIVER, TinyKernel, toy_source_with_guest

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", name="source")
def _source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A driver source with the real catalogue, a module of a few lines, and guest programs that nobody runs here."""
    return toy_source_with_guest(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def tools_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this file: the guest's programs are built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(tools_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDRIVER_CACHE", str(tools_cache))
    monkeypatch.setenv("KDRIVER_INDEX", str(tools_cache / "index"))
    runs = [*good_run("kmod"), *good_run("bpf"), *good_run("core")]
    monkeypatch.setenv("KDRIVER_QEMU", write_boots(tmp_path, ended([hello(), *runs])))


def _packages(folder: Path, kernel: TinyKernel | None = None) -> list[Path]:
    """The three header packages of a kernel, as files that nothing knows."""
    (kernel or TinyKernel()).packages(folder)
    return sorted((folder / "debian/pool").iterdir())


def _image(folder: Path, release: str = RELEASE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vmlinuz"
    path.write_bytes(bzimage(release))
    return path


def _verify(image: Path, *words: str | Path, headers: Sequence[Path] = ()) -> int:
    return run(["verify", "--kernel-image", str(image), *_named(headers), *map(str, words)])


def _named(headers: Sequence[Path]) -> list[str]:
    return [word for path in headers for word in ("--headers", str(path))]


def _built(headers: Sequence[Path], out: Path) -> Path:
    """The folder of drivers of all kinds that `kdriver build --headers` made."""
    words = ["--driver-src", str(TOY_DRIVER), *_named(headers), "--out", str(out), "--json"]
    assert run(["build", *words]) == ExitCode.DONE
    return out


def _rows(capsys: Capture) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_drivers_are_built_from_the_headers_and_judged(tmp_path: Path, source: Path, capsys: Capture) -> None:
    image = _image(tmp_path)
    assert (
        _verify(image, "--driver-src", source, "--json", "--kind", "kmod", headers=_packages(tmp_path)) == ExitCode.DONE
    )
    (row,) = _rows(capsys)
    assert (row["kind"], row["outcome"], row["reason"]) == ("kmod", "passed", "")
    assert row["kernel"].startswith(f"file/x86_64/{RELEASE}/")
    assert row["image_sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert read_verdict(row["artifact_sha256"], row["kernel"]) is not None


def test_an_unpacked_folder_serves_as_well(tmp_path: Path, source: Path, capsys: Capture) -> None:
    for package in _packages(tmp_path):
        subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path / "root")], check=True)
    for folder in (tmp_path / "root", tmp_path / f"root/usr/src/linux-headers-{RELEASE}"):
        assert (
            _verify(_image(tmp_path), "--driver-src", source, "--json", "--kind", "kmod", headers=[folder])
            == ExitCode.DONE
        )
        assert [row["outcome"] for row in _rows(capsys)] == ["passed"]


def test_two_kernels_of_one_release_are_not_mixed_up(tmp_path: Path, capsys: Capture) -> None:
    headers = _packages(tmp_path / "one")
    others = _packages(tmp_path / "other", TinyKernel(crcs={"kmalloc": 0x99999999}, options=("CONFIG_MODULES",)))
    first, second = _image(tmp_path / "one"), _image(tmp_path / "other")
    second.write_bytes(second.read_bytes() + b"another build")
    keys = set()
    for image, files in ((first, headers), (second, headers), (first, others)):
        run(
            ["verify", "--kernel-image", str(image), "-n", "--json", *(w for f in files for w in ("--headers", str(f)))]
        )
        keys.add(_rows(capsys)[0]["kernel"])
    assert len(keys) == 3


def test_kinds_that_the_kernel_cannot_have_are_named_and_do_not_fail(
    tmp_path: Path, source: Path, capsys: Capture
) -> None:
    kernel = TinyKernel(options=("CONFIG_MODULES", "CONFIG_TRACEPOINTS"))
    assert (
        _verify(_image(tmp_path), "--driver-src", source, "--json", headers=_packages(tmp_path, kernel))
        == ExitCode.DONE
    )
    assert [(row["kind"], row["outcome"], row["reason"]) for row in _rows(capsys)] == [
        ("kmod", "passed", ""),
        ("bpf", "not verified", "the kernel was built without CONFIG_BPF_SYSCALL"),
        ("core", "not verified", "the kernel was built without CONFIG_BPF_SYSCALL"),
    ]


def test_a_kind_that_is_asked_for_and_cannot_be_is_no_success(tmp_path: Path, source: Path, capsys: Capture) -> None:
    kernel = TinyKernel(options=("CONFIG_MODULES", "CONFIG_TRACEPOINTS"))
    assert (
        _verify(_image(tmp_path), "--driver-src", source, "--kind", "bpf", headers=_packages(tmp_path, kernel))
        == ExitCode.NOT_FOUND
    )
    assert "the kernel was built without CONFIG_BPF_SYSCALL" in capsys.readouterr().err


def test_type_information_that_is_named_makes_core_possible(tmp_path: Path, source: Path, capsys: Capture) -> None:
    kernel = TinyKernel(options=("CONFIG_MODULES", "CONFIG_TRACEPOINTS", "CONFIG_BPF_SYSCALL", "CONFIG_BPF_EVENTS"))
    headers, btf = _packages(tmp_path, kernel), tmp_path / "kernel.btf"
    types = kernel_types("struct task_struct { int pid; };", "task_struct")
    btf.write_bytes(types)
    core = ("--driver-src", source, "--kind", "core", "--json")
    assert _verify(_image(tmp_path), *core, headers=headers) == ExitCode.NOT_FOUND
    assert "no type information (BTF); --btf FILE names some" in capsys.readouterr().err
    drivers = _built(_packages(tmp_path / "other"), tmp_path / "out")
    capsys.readouterr()
    assert _verify(_image(tmp_path), *core, "--artifacts", drivers, "--btf", btf, headers=headers) == ExitCode.DONE
    (row,) = _rows(capsys)
    assert row["outcome"] == "passed"
    btf.write_bytes(b"no types")
    assert _verify(_image(tmp_path), *core, "--btf", btf, headers=headers) == ExitCode.USAGE
    assert row["facts"]["btf_sha256"] == hashlib.sha256(types).hexdigest()


@pytest.mark.parametrize("more", [(), ("-n",)], ids=["run", "dry run"])
def test_headers_of_another_kernel_are_refused(
    tmp_path: Path, source: Path, capsys: Capture, more: tuple[str, ...]
) -> None:
    assert (
        _verify(_image(tmp_path, "9.9.9"), "--driver-src", source, *more, headers=_packages(tmp_path)) == ExitCode.USAGE
    )
    assert f"the headers are of {RELEASE}, {tmp_path / 'vmlinuz'} is of 9.9.9" in capsys.readouterr().err


def test_an_image_that_does_not_say_its_release_takes_the_headers(
    tmp_path: Path, source: Path, capsys: Capture
) -> None:
    image = _image(tmp_path, "")
    assert _verify(image, "--driver-src", source, "-n", "--json", headers=_packages(tmp_path)) == ExitCode.DONE
    assert _rows(capsys)[0]["kernel"].startswith(f"file/x86_64/{RELEASE}/")
    assert _verify(image, "--driver-src", source, "-n", "--artifacts", tmp_path) == ExitCode.USAGE
    assert "does not say its release" in capsys.readouterr().err


def test_build_takes_headers_and_verify_takes_what_it_built(tmp_path: Path, source: Path, capsys: Capture) -> None:
    drivers = _built(_packages(tmp_path), tmp_path / "out")
    kernels = {row["kernel"].rsplit("/", 1)[0] for row in _rows(capsys)}
    assert kernels == {f"file/x86_64/{RELEASE}"}
    assert _verify(_image(tmp_path), "--driver-src", source, "--artifacts", drivers, "--json") == ExitCode.DONE
    assert [row["outcome"] for row in _rows(capsys)] == ["passed"] * 3


def test_a_module_of_the_kernels_own_needs_a_place(tmp_path: Path, source: Path, capsys: Capture) -> None:
    words = ("--module", "veth", "--kind", "kmod")
    headers = _packages(tmp_path)
    assert _verify(_image(tmp_path), "--driver-src", source, *words, headers=headers) == ExitCode.USAGE
    assert "Say where they are with --modules." in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    assert (
        _verify(_image(tmp_path), "--driver-src", source, *words, "--modules", tmp_path / "mine", headers=headers)
        == ExitCode.NOT_FOUND
    )
    assert "has no module veth" in capsys.readouterr().err


def test_other_modules_of_the_same_name_make_it_another_trial(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    headers, image = _packages(tmp_path), _image(tmp_path)
    mine = tmp_path / f"mine/lib/modules/{RELEASE}/kernel"
    mine.mkdir(parents=True)
    kept = []
    for code in ("int kd_one;", "int kd_one;", "int kd_other;"):
        says = f'"vermagic={RELEASE} SMP mod_unload modversions "'
        text = f'const char vermagic[] __attribute__((section(".modinfo"))) = {says}; {code}'
        argv = ["gcc", "-c", "-x", "c", "-", "-o", str(mine / "helpful.ko")]
        subprocess.run(argv, input=text, text=True, check=True)
        words = ("--module", "helpful", "--modules", tmp_path / "mine", "--kind", "kmod", "--changed", "--json")
        assert _verify(image, "--driver-src", source, *words, headers=headers) == ExitCode.DONE
        kept.append(_rows(capsys)[0]["kept"])
    assert kept == [False, True, False]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--headers", "x"], "are about the kernel of --kernel-image"),
        (["--kernel-image", "x"], "--kernel-image needs --headers"),
        (["--kernel-image", "x", "--headers", "y", "--kernel", "z"], "exclude each other"),
    ],
)
def test_a_wrong_command_line_is_status_2(words: list[str], said: str, capsys: Capture) -> None:
    assert run(["verify", *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_files_that_are_none_are_named(tmp_path: Path, source: Path, capsys: Capture) -> None:
    text = tmp_path / "text"
    text.write_text("no package")
    assert _verify(_image(tmp_path), "--driver-src", source, headers=[text]) == ExitCode.USAGE
    assert f"{text}: is no .deb and no .rpm" in capsys.readouterr().err
    assert _verify(_image(tmp_path), "--driver-src", source, headers=[tmp_path / "gone"]) == ExitCode.NOT_FOUND
    assert "no such file or folder" in capsys.readouterr().err
