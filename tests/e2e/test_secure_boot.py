"""A signed module on a Debian kernel that enforces signatures (module.sig_enforce=1): refused without its certificate,
as unsigned ones and those of another key are; loaded where the machine's firmware holds the certificate.

The firmware is OVMF with the certificate in its variable db, from where Debian's kernels take certificates for modules
(CONFIG_LOAD_UEFI_KEYS, the platform keyring). What a shim does with certificates of MOK is not shown here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdriver.core.download import cached
from kdriver.core.kernel import PackageRole
from kdriver.packages.kernel_files import unpack_package
from kdriver.verifier.accelerator import find_qemu
from kdriver.verifier.image import kernel_from_package
from kdriver.verifier.initramfs import regular, write_initramfs
from kdriver.verifier.machine import MachinePlan, machine_argv
from kernel_index.query import select_kernels
from kernel_index.sources import package_urls
from kernel_index.store import load_kernels
from tests.e2e.conftest import Kdriver
from tests.fakes.signing_keys import KeyPair, make_key

pytestmark = [pytest.mark.qemu, pytest.mark.network, pytest.mark.slow]

KERNEL = "newest:6.1:cloud-amd64"
INIT = Path(__file__).resolve().parent.parent / "fakes" / "guest" / "sign_init.c"
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
TIMEOUT_S = 500
Boot = Callable[..., list[str]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Whose certificate the firmware holds."""
    return make_key(tmp_path_factory.mktemp("mine"), "trusted")


@pytest.fixture(scope="module")
def initramfs(
    kdriver: Kdriver, pair: KeyPair, user_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """kdriver's module unsigned, signed, and signed with another key."""
    folder = tmp_path_factory.mktemp("modules")
    entries = []
    for name, signer in (("signed", pair), ("other", make_key(folder, "stranger"))):
        words = ["--kernel", KERNEL, "--kind", "kmod", "--out", folder / name]
        words += ["--sign-key", signer.key, "--sign-cert", signer.certificate]
        built = kdriver("build", "--distro", "debian12", *words)
        assert built.returncode == 0, built.stderr
        (file,) = (folder / name).glob("*/signed/kdriver.ko")
        entries.append(regular(f"modules/{name}", file.read_bytes()))
    entries.append(regular("modules/unsigned", (file.parent.parent / "kdriver.ko").read_bytes()))
    init = folder / "init"
    subprocess.run(["gcc", "-static", "-O1", "-s", "-Wall", "-Werror", "-o", init, INIT], check=True, timeout=120)
    path = folder / "initramfs"
    path.write_bytes(write_initramfs([regular("init", init.read_bytes(), executable=True), *entries]))
    return path


@pytest.fixture
def boot(initramfs: Path, user_environment: dict[str, str], tmp_path: Path) -> Boot:
    """Boot Debian's kernel with signatures enforced; what its process 1 reported."""
    (found,) = select_kernels(load_kernels(Path(user_environment["KDRIVER_INDEX"])), distro="debian12", kernel=KERNEL)
    package = found.package(PackageRole.IMAGE)
    assert package is not None
    image = cached(package_urls(found, package), package.sha256, package.size_bytes, package.file_name)

    def run(firmware: Path | None = None) -> list[str]:
        kernel = kernel_from_package(image, found.release).path
        if firmware is not None:  # it starts a PE program only, which the distribution's own file is
            unpack_package(image, tmp_path / "image", members=lambda member: member.startswith("boot/"))
            (kernel,) = (tmp_path / "image" / "boot").glob("vmlinuz-*")
        plan = MachinePlan(find_qemu(), kernel, initramfs, tmp_path / "console", tmp_path / "results", cpus=1)
        argv = machine_argv(plan)
        argv[argv.index("-append") + 1] += " module.sig_enforce=1 loglevel=5"
        if firmware is not None:
            argv += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}"]
            argv += ["-drive", f"if=pflash,format=raw,unit=1,file={firmware}"]
        subprocess.run(argv, check=True, timeout=TIMEOUT_S, capture_output=True)
        return plan.results.read_text(errors="replace").replace("\r", "").splitlines()

    return run


def outcomes(lines: list[str]) -> dict[str, str]:
    words = [line.split() for line in lines if line.startswith("module ")]
    return {name.rstrip(":"): outcome for _, name, outcome in words}


def test_without_its_certificate_nothing_is_loaded(boot: Boot) -> None:
    lines = boot()
    assert outcomes(lines) == dict.fromkeys(("unsigned", "signed", "other"), "EKEYREJECTED")
    kernel = "\n".join(line for line in lines if line.startswith("kernel "))
    assert kernel.count("Loading of unsigned module is rejected") == 1
    assert kernel.count("Loading of module with unavailable key is rejected") == 2


def test_a_certificate_in_the_firmware_lets_its_module_in_and_no_other(
    boot: Boot, pair: KeyPair, tmp_path: Path
) -> None:
    variables = tmp_path / "variables.fd"
    tool = Path(sys.executable).with_name("virt-fw-vars")
    owner = "77fa9abd-0359-4d32-bd60-28f4e78f784b"
    words = ["--input", str(VARIABLES), "--output", str(variables), "--add-db", owner, str(pair.certificate)]
    subprocess.run([tool, *words], check=True, capture_output=True, timeout=60)
    lines = boot(variables)
    assert outcomes(lines) == {"unsigned": "EKEYREJECTED", "signed": "loaded", "other": "EKEYREJECTED"}
    kernel = "\n".join(line for line in lines if line.startswith("kernel "))
    assert "Loaded X.509 cert 'kdriver test trusted" in kernel
    assert "module verification failed" not in kernel
