"""primary.xml: the packages of a yum repository (http://linux.duke.edu/metadata/common and …/rpm; createrepo_c)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

from kdriver.core.errors import IntegrityError
from kdriver.packages.compression import damage, decompressed, peek_suffix
from kdriver.packages.rpmheader import Dependency, RpmHeader
from kdriver.packages.rpmversions import Evr
from kernel_index.rpm.repomd import check_path
from kernel_index.rpm.xml import elements
from kernel_index.suites import BinaryPackage

LIMIT_BYTES = 2 << 30
"""Of the plain text, where repomd.xml does not say a size. All of RHEL 7's updates have 0.3 GB."""

_COMMON = "{http://linux.duke.edu/metadata/common}"
_RPM = "{http://linux.duke.edu/metadata/rpm}"
_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_FLAGS = {"EQ": "=", "LT": "<", "GT": ">", "LE": "<=", "GE": ">="}
_HINT = "Use another mirror."

Wanted = Callable[[str], bool]
"""Says of a package's name whether it can be a part of a kernel."""


def read_primary(path: Path, wanted: Wanted, *, subject: str, open_size_bytes: int = 0) -> Iterator[BinaryPackage]:
    """The wanted packages of a primary.xml file, however it is compressed, in its order; memory is bounded.

    open_size_bytes: of its plain text as repomd.xml says, 0 where it does not. Raises IntegrityError.
    """
    limit_bytes = min(open_size_bytes or LIMIT_BYTES, LIMIT_BYTES)
    tag = f"{_COMMON}package"
    name = f"{subject}: primary.xml"
    with path.open("rb") as packed, damage(name), decompressed(packed, peek_suffix(path), name) as stream:
        for element in elements(stream, tag, subject=name, limit_bytes=limit_bytes):
            called = element.findtext(f"{_COMMON}name") or ""
            if element.get("type") == "rpm" and wanted(called):
                yield _package(element, called, subject)


def package_of_header(header: RpmHeader, *, path: str, size_bytes: int, sha256: str) -> BinaryPackage:
    """What primary.xml would say of a package file, from the file itself."""
    return BinaryPackage(
        name=header.name,
        version=str(header.evr),
        arch=header.arch,
        source=_source(header.source_rpm),
        depends=_kept_requires(header.requires),
        path=path,
        size_bytes=size_bytes,
        sha256=sha256,
        provides=_kept_provides(header.provides),
    )


def parse_dependencies(text: str) -> tuple[Dependency, ...]:
    """The inverse of how BinaryPackage.depends and .provides are written: `a (>= 1), b`."""
    found = []
    for one in text.split(", ") if text else ():
        name, _, rest = one.partition(" (")
        operator, _, version = rest.removesuffix(")").partition(" ")
        found.append(Dependency(name, operator, version))
    return tuple(found)


def _package(element: ET.Element, name: str, subject: str) -> BinaryPackage:
    try:
        checksum, location, size = (_child(element, word) for word in ("checksum", "location", "size"))
        digest = (checksum.text or "").strip().lower()
        if checksum.get("type") != "sha256" or not _SHA256.match(digest):
            raise ValueError(f"a checksum of type {checksum.get('type', 'none')}, sha256 was expected")
        if location.get(_BASE):
            raise ValueError(f"it lies elsewhere, at {location.get(_BASE)}")
        return BinaryPackage(
            name=name,
            version=str(_evr(_child(element, "version"))),
            arch=element.findtext(f"{_COMMON}arch") or "",
            source=_source(element.findtext(f"{_COMMON}format/{_RPM}sourcerpm") or ""),
            depends=_kept_requires(_dependencies(element, "requires")),
            path=check_path(location.get("href", "")),
            size_bytes=_size(size.get("package", "")),
            sha256=digest,
            provides=_kept_provides(_dependencies(element, "provides")),
        )
    except ValueError as error:
        raise IntegrityError(f"{subject}: the entry of {name} is malformed ({error})", hint=_HINT) from error


def _child(element: ET.Element, name: str) -> ET.Element:
    found = element.find(f"{_COMMON}{name}")
    if found is None:
        raise ValueError(f"no {name}")
    return found


def _size(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"a size of {text!r} bytes")
    return int(text)


def _evr(element: ET.Element) -> Evr:
    epoch = element.get("epoch") or "0"
    if not epoch.isdecimal() or not element.get("ver") or not element.get("rel"):
        raise ValueError("no version")
    return Evr(int(epoch), element.get("ver", ""), element.get("rel", ""))


def _dependencies(element: ET.Element, kind: str) -> Iterator[Dependency]:
    for entry in element.iterfind(f"{_COMMON}format/{_RPM}{kind}/{_RPM}entry"):
        operator = _FLAGS.get(entry.get("flags", ""), "")
        version = str(_evr_of_entry(entry)) if operator else ""
        yield Dependency(entry.get("name", ""), operator, version)


def _evr_of_entry(entry: ET.Element) -> Evr:
    epoch = entry.get("epoch") or "0"
    return Evr(int(epoch) if epoch.isdecimal() else 0, entry.get("ver", ""), entry.get("rel", ""))


def _source(source_rpm: str) -> str:
    """`kernel` of `kernel-3.10.0-957.el7.src.rpm`."""
    return source_rpm.rsplit("-", 2)[0] if source_rpm.count("-") >= 2 else ""


def _kept_requires(requires: Iterator[Dependency] | tuple[Dependency, ...]) -> str:
    """Without what says nothing of a kernel: files, features of rpm, symbols."""
    kept = (one for one in requires if not one.name.startswith(("/", "rpmlib(", "kernel(", "ksym(", "(")))
    return ", ".join(dict.fromkeys(str(one) for one in kept if ", " not in one.name))


def _kept_provides(provides: Iterator[Dependency] | tuple[Dependency, ...]) -> str:
    """Only `kernel-uname-r = …` and its like: an el7 kernel provides 10,000 symbols besides."""
    return ", ".join(
        dict.fromkeys(str(one) for one in provides if one.name.endswith("-uname-r") and one.operator == "=")
    )
