"""The packages of kernels of Red Hat's family, as each release of it splits and names them; files are made up."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.rpms import Built, RpmKey, build_rpms

EL7, EL7_UPDATE, EL7_PLUS = "957.el7", "957.12.2.el7", "957.12.2.el7.centos.plus"
EL8, EL8_UPDATE = "348.el8", "348.7.1.el8_5"
EL9 = "427.13.1.el9_4"


def el7(release: str, *, kind: str = "", arch: str = "x86_64", version: str = "3.10.0") -> list[Built]:
    """kernel and kernel-devel, or those of a kind: `debug`, `plus`."""
    name = f"kernel-{kind}" if kind else "kernel"
    uname_r = f"{version}-{release}.{arch}{'.debug' if kind == 'debug' else ''}"
    return [
        _built(name, version, release, arch, f"kernel-uname-r = {uname_r}", f"/boot/vmlinuz-{uname_r}"),
        _devel(name, version, release, arch, uname_r),
    ]


def el8(release: str, *, kind: str = "", arch: str = "x86_64", version: str = "4.18.0") -> list[Built]:
    """kernel, which is empty, kernel-core, kernel-modules and kernel-devel; of el9 kernel-modules-core as well."""
    name = f"kernel-{kind}" if kind else "kernel"
    uname_r = f"{version}-{release}.{arch}{f'+{kind}' if kind else ''}"
    parts = ["core", "modules", *(["modules-core"] if ".el9" in release or ".el10" in release else [])]
    return [
        Built(name, version, release, arch, requires=(f"{name}-core-uname-r = {uname_r}",)),
        *(
            _built(
                f"{name}-{part}",
                version,
                release,
                arch,
                f"{name}-{part}-uname-r = {uname_r}, kernel-uname-r = {uname_r}",
                f"/lib/modules/{uname_r}/{part}",
            )
            for part in parts
        ),
        _devel(name, version, release, arch, uname_r),
    ]


def _devel(name: str, version: str, release: str, arch: str, uname_r: str) -> Built:
    return Built(
        f"{name}-devel",
        version,
        release,
        arch,
        requires=("perl", "elfutils-libelf-devel"),
        provides=(f"{name}-devel-uname-r = {uname_r}",),
        files={f"/usr/src/kernels/{uname_r}/Makefile": "all:"},
    )


def _built(name: str, version: str, release: str, arch: str, provides: str, path: str) -> Built:
    return Built(name, version, release, arch, provides=tuple(provides.split(", ")), files={path: name})


def build_all(into: Path, key: RpmKey) -> dict[str, Path]:
    """Every kernel that the tests' repositories hold, signed; file name to file."""
    packages = [
        *el7(EL7),
        *el7(EL7, kind="debug"),
        *el7(EL7_UPDATE),
        *el7(EL7_PLUS, kind="plus"),
        *el8(EL8),
        *el8(EL8_UPDATE),
        *el8(EL8_UPDATE, kind="debug"),
        *el8(EL9, version="5.14.0"),
        *el8(EL9, version="5.14.0", kind="rt"),
        *el8(EL9, version="5.14.0", kind="64k", arch="aarch64"),
        Built("kernel-headers", "5.14.0", EL9),
        Built("kernel-tools", "5.14.0", EL9),
        Built("bash", "5.1.8", "9.el9"),
    ]
    made = build_rpms(packages, into)
    key.sign_rpms(made)
    return {path.name: path for path in made}
