"""Header packages of a kernel that does not exist (tests/fixtures/tiny_kernel), packed and indexed as Debian's are."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from builder.evidence import read_evidence
from builder.headers import HeaderTree, mend_makefile
from kdriver.core.kernel import Kernel, Package, PackageRole
from kdriver.core.paths import source_dir
from kernel_index.store import RowIndex, write_row
from tests.fakes.file_server import FileServer
from tests.fakes.kernel_images import bzimage

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
TOY_DRIVER = FIXTURES / "toy_driver"
OPTIONS = (
    "CONFIG_MODULES",
    "CONFIG_TRACEPOINTS",
    "CONFIG_BPF_SYSCALL",
    "CONFIG_BPF_EVENTS",
    "CONFIG_DEBUG_INFO_BTF",
)
SYMBOLS = {"module_layout": 0x01020304, "kmalloc": 0x11111111, "kfree": 0x22222222, "printk": 0x33333333}


@dataclass(frozen=True)
class TinyKernel:
    """What the headers say. gcc: CONFIG_GCC_VERSION's major version. vermagic, crcs: what modules get, where that
    differs from what the headers promise. tool: a program that stands as the headers' modpost. options: of .config.
    settings: the text of autoconf.h. headers: more of include/, or other texts. exported: CRCs other than the usual
    ones, in the headers and in modules. modversions: whether modules are to have CRCs. image: with a package of
    a kernel that says its release."""

    release: str = "1.2.3-tiny-amd64"
    version: str = "1.2.3-1"
    gcc: int = 12
    vermagic: str = ""
    crcs: dict[str, int] = field(default_factory=dict)
    tool: Path = Path("/bin/true")
    options: tuple[str, ...] = OPTIONS
    settings: str = "#define CONFIG_MODVERSIONS 1\n"
    headers: dict[str, str] = field(default_factory=dict)
    exported: dict[str, int] = field(default_factory=dict)
    modversions: bool = True
    image: bool = False

    def packages(self, folder: Path) -> Kernel:
        """Pack the three header packages into `folder`/debian/pool; the kernel's record of the index."""
        source = folder / "source" / self.release
        _write_common(source / "common", self)
        _write_arch(source / "arch", self)
        _write_kbuild(source / "kbuild", self)
        rows: tuple[tuple[PackageRole, str, str], ...] = (
            (PackageRole.HEADERS, "arch", f"linux-headers-{self.release}"),
            (PackageRole.HEADERS_COMMON, "common", f"linux-headers-{self.release}-common"),
            (PackageRole.KBUILD, "kbuild", f"linux-kbuild-{self.release}"),
        )
        if self.image:
            boot = source / "image/boot"
            boot.mkdir(parents=True)
            (boot / f"vmlinuz-{self.release}").write_bytes(bzimage(self.release))
            rows = (*rows, (PackageRole.IMAGE, "image", f"linux-image-{self.release}"))
        packages = tuple(_pack(role, source / part, name, self.version, folder) for role, part, name in rows)
        return Kernel(
            distro="debian",
            distro_release="debian12",
            release=self.release,
            build=self.version,
            package_version=self.version,
            arch="x86_64",
            flavour="amd64",
            packages=packages,
            compiler=f"gcc-{self.gcc}",
        )


def devel_files(kernel: TinyKernel, scratch: Path) -> dict[str, str]:
    """What a kernel-devel RPM of the kernel installs: path to text; of a link `-> target`. scratch: an empty folder."""
    _write_common(scratch / "common", kernel)
    _write_arch(scratch / "arch", kernel)
    home = f"/usr/src/kernels/{kernel.release}"
    found: dict[str, str] = {}
    for part, folder in (
        ("arch", f"linux-headers-{kernel.release}"),
        ("common", f"linux-headers-{kernel.release}-common"),
    ):
        root = scratch / part / "usr/src" / folder
        files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
        found |= {f"{home}/{path.relative_to(root)}": path.read_text() for path in files}
    return {**found, f"/lib/modules/{kernel.release}/build": f"-> {home}"}


def tiny_tree(folder: Path, kernel: TinyKernel | None = None) -> HeaderTree:
    """A kernel's headers, unpacked in `folder`/tree."""
    kernel = kernel or TinyKernel()
    root = folder / "tree"
    for write in (_write_common, _write_arch, _write_kbuild):
        write(root, kernel)
    build = root / f"usr/src/linux-headers-{kernel.release}"
    makefile = build / "Makefile"
    makefile.write_text(mend_makefile(makefile.read_text(), root))
    return HeaderTree("tiny", root, build, build.with_name(f"{build.name}-common"), read_evidence(build), ())


def write_index(folder: Path, *kernels: Kernel) -> None:
    """An index that holds these kernels."""
    write_row(RowIndex("debian12", "2026-01-01T00:00:00Z", (), kernels), folder)


def symvers(crcs: dict[str, int]) -> str:
    """The text of a Module.symvers."""
    return "".join(f"{crc:#010x}\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name, crc in crcs.items())


def _write_common(root: Path, kernel: TinyKernel) -> None:
    shutil.copytree(FIXTURES / "tiny_kernel" / "common", root / f"usr/src/linux-headers-{kernel.release}-common")
    other = root / f"usr/src/linux-headers-{kernel.release}-common/arch/arm/include/asm/types.h"
    other.parent.mkdir(parents=True)
    other.write_text("/* Another architecture's. */\n")
    for name, text in kernel.headers.items():
        (root / f"usr/src/linux-headers-{kernel.release}-common/include/{name}").write_text(text)


def _write_arch(root: Path, kernel: TinyKernel) -> None:
    build = root / f"usr/src/linux-headers-{kernel.release}"
    generated = build / "include/generated"
    generated.mkdir(parents=True)
    (build / "Makefile").write_text(f"include /usr/src/linux-headers-{kernel.release}-common/Makefile\n")
    text = f"gcc-{kernel.gcc} (Tiny {kernel.gcc}.2.0) {kernel.gcc}.2.0"
    (build / ".config").write_text(
        f'CONFIG_CC_VERSION_TEXT="{text}"\nCONFIG_GCC_VERSION={kernel.gcc}0200\n'
        + ("CONFIG_MODVERSIONS=y\n" if kernel.modversions else "")
        + "".join(f"{option}=y\n" for option in kernel.options)
    )
    (generated / "autoconf.h").write_text(kernel.settings)
    (generated / "utsrelease.h").write_text(f'#define UTS_RELEASE "{kernel.release}"\n')
    (build / "Module.symvers").write_text(symvers({**SYMBOLS, **kernel.exported}))
    if kernel.crcs:
        (build / ".crcs").write_text(symvers({**SYMBOLS, **kernel.crcs}))
    if kernel.vermagic:
        (build / ".vermagic").write_text(kernel.vermagic)
    (build / "scripts").symlink_to(f"../../lib/linux-kbuild-{kernel.release}/scripts")
    modules = root / f"lib/modules/{kernel.release}"
    modules.mkdir(parents=True)
    (modules / "build").symlink_to(f"/usr/src/linux-headers-{kernel.release}")
    document = root / "usr/share/doc/tiny/copyright"
    document.parent.mkdir(parents=True)
    document.write_text("None.\n")


def _write_kbuild(root: Path, kernel: TinyKernel) -> None:
    tools = root / f"usr/lib/linux-kbuild-{kernel.release}/scripts/mod"
    tools.mkdir(parents=True)
    shutil.copy(kernel.tool, tools / "modpost")


def _pack(role: PackageRole, root: Path, name: str, version: str, folder: Path) -> Package:
    control = root / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\n"
        "Description: headers of a kernel that does not exist\n"
    )
    path = f"pool/{name}_{version}_amd64.deb"
    file = folder / "debian" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(root), str(file)], check=True, capture_output=True
    )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Package(role, name, version, "amd64", "main", path, file.stat().st_size, digest)


@dataclass
class BuildSite:
    """A mirror with tiny kernels, their index and an empty cache; the environment points kdriver to them."""

    folder: Path
    server: FileServer
    kernels: tuple[Kernel, ...] = ()

    @property
    def cache(self) -> Path:
        """KDRIVER_CACHE."""
        return self.folder / "cache"

    def environment(self) -> dict[str, str]:
        """What leads kdriver here."""
        return {
            "KDRIVER_CACHE": str(self.cache),
            "KDRIVER_INDEX": str(self.folder / "index"),
            "KDRIVER_MIRROR": self.server.url,
        }

    def add(self, kernel: TinyKernel | None = None) -> Kernel:
        """Publish a kernel's headers and index it."""
        record = (kernel or TinyKernel()).packages(self.folder / "mirror")
        self.kernels = (*self.kernels, record)
        write_index(self.folder / "index", *self.kernels)
        return record

    def driver_source(self) -> Path:
        """A copy of the toy driver source that a test may change."""
        copy = self.folder / "toy_driver"
        shutil.copytree(TOY_DRIVER, copy)
        return copy

    def artifacts(self) -> list[Path]:
        """Everything in the store, hidden or not, that is not a folder."""
        return sorted(path for path in (self.cache / "artifacts").rglob("*") if path.is_file())


@contextmanager
def build_site(folder: Path) -> Iterator[BuildSite]:
    """A site in a folder, its mirror served on loopback while the context lasts."""
    (folder / "mirror").mkdir()
    with FileServer(folder / "mirror") as server:
        yield BuildSite(folder, server)


def toy_source_with_guest(folder: Path) -> Path:
    """The toy drivers with the real catalogue, and guest programs that nobody runs here, in a new folder driver_src."""
    source = folder / "driver_src"
    shutil.copytree(TOY_DRIVER, source)
    shutil.copytree(source_dir("driver_src") / "catalogue", source / "catalogue")
    for name, programs in {"capture": "kd-capture", "cases": "kd-cases kd-cases32", "guest": "kd-guest"}.items():
        (source / name).mkdir()
        lines = "".join(f"\tcp /bin/true $(OUT)/{program}\n" for program in programs.split())
        (source / name / "Makefile").write_text(f"all:\n{lines}")
    return source
