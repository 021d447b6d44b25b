"""Hostile metadata: every parser refuses what is malformed with its own error, in bounded time and memory."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, IntegrityError
from kdriver.packages.deb822 import parse_relations, parse_stanza, split_stanzas
from kdriver.packages.rpmheader import read_front
from kdriver.packages.rpmversions import compare_segments
from kdriver.packages.versions import compare
from kernel_index.apt.release import parse_release as parse_suite_release
from kernel_index.apt.suite import read_packages, wanted_stanzas
from kernel_index.crawler_json import read_crawler
from kernel_index.hosts import Uname, host_facts, parse_os_release
from kernel_index.package_names import kernel_part, split_file_name
from kernel_index.releases import Grammar, build_of_version, parse_release, release_key
from kernel_index.rpm.primary import read_primary
from kernel_index.rpm.repomd import parse_repomd
from kernel_index.table import load_table
from tests.fakes.fuzzing import fuzz
from tests.kernel_index.known import known_hosts, known_kernels

PACKAGES = b"""Package: linux-headers-6.1.0-56-amd64
Source: linux
Version: 6.1.192-2
Architecture: amd64
Depends: linux-headers-6.1.0-56-common (= 6.1.192-2), linux-kbuild-6.1 (>= 6.1.192-2), linux-compiler-gcc-12-x86 | gcc
Description: Header files
 for Linux 6.1.0-56-amd64
 .
Filename: pool/main/l/linux/linux-headers-6.1.0-56-amd64_6.1.192-2_amd64.deb
Size: 1841234
SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

Package: linux-image-amd64
Version: 6.1.192-2
Architecture: amd64
Depends: linux-image-6.1.0-56-amd64 (= 6.1.192-2)
Filename: pool/main/l/linux-signed-amd64/linux-image-amd64_6.1.192-2_amd64.deb
Size: 1480
SHA256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
"""
RELEASE = b"""Origin: Debian
Suite: stable
Codename: bookworm
Date: Sat, 14 Nov 2026 10:00:00 UTC
Valid-Until: Sat, 21 Nov 2026 10:00:00 UTC
Architectures: all amd64 arm64
Acquire-By-Hash: yes
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-all/Packages
 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef 8788 main/binary-amd64/Packages.xz
"""
REPOMD = b"""<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1606256709</revision>
  <data type="primary">
    <checksum type="sha256">5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef</checksum>
    <open-checksum type="sha256">e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855</open-checksum>
    <location href="repodata/5f70bf18-primary.xml.gz"/>
    <timestamp>1606256701</timestamp><size>3100</size><open-size>31000</open-size>
  </data>
</repomd>
"""
PRIMARY = b"""<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>kernel-devel</name><arch>x86_64</arch><version epoch="0" ver="3.10.0" rel="1160.el7"/>
<checksum type="sha256" pkgid="YES">5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef</checksum>
<time file="1603139000" build="1603138000"/><size package="18928800" installed="38000000" archive="39000000"/>
<location href="Packages/kernel-devel-3.10.0-1160.el7.x86_64.rpm"/>
<format><rpm:sourcerpm>kernel-3.10.0-1160.el7.src.rpm</rpm:sourcerpm>
<rpm:provides><rpm:entry name="kernel-devel-uname-r" flags="EQ" epoch="0" ver="3.10.0" rel="1160.el7.x86_64"/>
</rpm:provides><rpm:requires><rpm:entry name="perl"/></rpm:requires></format></package>
</metadata>
"""
ENTITIES = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    b"&b;",
    b"<![CDATA[",
    b"]]>",
    b'<!ENTITY x SYSTEM "file:///etc/passwd">',
)
NAMES = tuple(kernel["release"].encode() for kernel in known_kernels())
FILES = tuple(url.rsplit("/", 1)[-1].encode() for kernel in known_kernels() for url in kernel["urls"])


def test_deb822() -> None:
    def parse(content: bytes) -> None:
        for block in split_stanzas(content.decode("utf-8", "replace")):
            fields = parse_stanza(block)
            parse_relations(fields.get("Depends", ""))
            if "Version" in fields:
                compare(fields["Version"], "6.1.192-2~bpo12+1")

    fuzz(parse, [PACKAGES], refused_with=ValueError, words=[b"\nDepends: ", b" | ", b" (>= ", b"\n\n", b"Version: 1~"])


def test_a_list_of_packages() -> None:
    """Where the text is cut into pieces must not change what is found."""

    def parse(content: bytes) -> None:
        whole = list(wanted_stanzas(iter([content]), b"linux-"))
        size = 1 + len(content) // 7
        cut = (content[at : at + size] for at in range(0, len(content), size))
        assert list(wanted_stanzas(cut, b"linux-")) == whole
        text = b"\n\n".join(whole).decode("utf-8", "replace")
        list(read_packages(text, lambda name: name.startswith("linux-"), subject="fuzz"))

    words = [b"\n\n", b"\nPackage: linux-", b"Filename: ../../x", b"Size: -1", b"\r\n", b"\n\n\n"]
    fuzz(parse, [PACKAGES + RELEASE, PACKAGES], refused_with=IntegrityError, words=words)


def test_a_suites_release() -> None:
    def parse(content: bytes) -> None:
        parse_suite_release(content.decode("utf-8", "replace"), subject="fuzz")

    fuzz(parse, [RELEASE], refused_with=IntegrityError, words=[b"\nSHA256:\n", b"Date: ", b"\n ../../etc/passwd "])


def test_repomd() -> None:
    words = [*ENTITIES, b'<data type="primary">', b"<revision>", b'href="../../x"']
    fuzz(lambda content: parse_repomd(content, subject="fuzz"), [REPOMD], refused_with=IntegrityError, words=words)


def test_primary(tmp_path: Path) -> None:
    file = tmp_path / "primary.xml"

    def parse(content: bytes) -> None:
        file.write_bytes(content)
        list(read_primary(file, lambda name: name.startswith("kernel"), subject="fuzz"))

    words = [*ENTITIES, b"<package type='rpm'>", b"\x1f\x8b\x08", b"(\xb5/\xfd", b"\xfd7zXZ\0", b"BZh9"]
    fuzz(parse, [PRIMARY], refused_with=IntegrityError, words=words)


def test_the_header_of_an_rpm() -> None:
    intro = b"\x8e\xad\xe8\x01\0\0\0\0"

    def section(entries: list[tuple[int, int, int, int]], values: bytes) -> bytes:
        listed = b"".join(number.to_bytes(4, "big") for entry in entries for number in entry)
        return intro + len(entries).to_bytes(4, "big") + len(values).to_bytes(4, "big") + listed + values

    names = b"kernel-devel\x003.10.0\x001160.el7\x00x86_64\0"
    tags = [(1000, 6, 0, 1), (1001, 6, 13, 1), (1002, 6, 20, 1), (1022, 6, 29, 1)]
    rpm = b"\xed\xab\xee\xdb" + bytes(92) + section([], b"") + section(tags, names)
    fuzz(
        lambda content: read_front(io.BytesIO(content), "fuzz.rpm"),
        [rpm],
        refused_with=IntegrityError,
        words=[intro, b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x08", b"\0\0\0\x06"],
    )


@pytest.mark.parametrize("grammar", [None, *Grammar])
def test_release_strings(grammar: Grammar | None) -> None:
    own = [name for name in NAMES if grammar in (None, parse_release(name.decode()).grammar)]

    def parse(content: bytes) -> None:
        text = content.decode("utf-8", "replace")
        compare_segments(text, text[::-1])
        build_of_version(text)
        release = parse_release(text, grammar)
        assert release.text == text
        assert release_key(release) == release_key(parse_release(text, release.grammar))
        assert release.line

    fuzz(parse, own, refused_with=ValueError, words=[b"-", b".el8_", b"+rt", b"0.bpo.", b"~rc1", b"-686", b".x86_64"])


def test_package_names() -> None:
    def parse(content: bytes) -> None:
        part = kernel_part(split_file_name(content.decode("utf-8", "replace")))
        assert part is None or part.abi

    fuzz(parse, FILES, refused_with=ValueError, words=[b"-common", b"_", b".deb", b"%2B", b"%00", b"linux-headers-"])


def test_what_a_host_says() -> None:
    hosts = [f"{one['release']}\0{one['version']}\0{one['os_release']}".encode() for one in known_hosts()]

    def parse(content: bytes) -> None:
        release, _, rest = content.decode("utf-8", "replace").partition("\0")
        version, _, os_release = rest.partition("\0")
        facts = host_facts(Uname(release, version, "x86_64"), parse_os_release(os_release))
        json.dumps(facts.to_json())

    words = [b"-Ubuntu", b"Debian ", b"ID_LIKE=", b"VERSION_ID=", b".el", b'"']
    accepted = fuzz(parse, hosts, refused_with=(), words=words)
    assert accepted.parsed == accepted.inputs


def test_a_list_of_kernel_crawler() -> None:
    entries = [
        {"kernelrelease": one["crawler"][1], "kernelversion": one["crawler"][2], "target": one["crawler"][0],
         "headers": one["urls"]}
        for one in known_kernels() if one.get("crawler")
    ]  # fmt: skip
    rows = load_table()

    def parse(content: bytes) -> None:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            return
        read_crawler(document, rows, today="2026-11-22")

    samples = [json.dumps({"Ubuntu": entries[at : at + 3]}).encode() for at in range(0, 30, 3)]
    fuzz(parse, samples, refused_with=ConfigError, words=[b"null", b"[[[[", b'"headers": ', b"1e999", b"-1", b"{}"])
