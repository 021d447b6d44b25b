"""RPM packages of rpmbuild and rpmsign: read, verified and unpacked as rpm itself does it, and refused when wrong."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kdriver.core.errors import ConfigError, ExitCode, IntegrityError
from kdriver.packages.archive import unpack_members
from kdriver.packages.cpio import cpio_members
from kdriver.packages.openpgp import SigningKeys
from kdriver.packages.rpm import list_rpm, read_header, unpack_rpm, verify_rpm
from kdriver.packages.rpmheader import read_front
from tests.fakes.rpms import PAYLOADS, Built, RpmKey, build_rpms

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild (package rpm) is not installed")

RELEASE = "3.10.0-957.el7.x86_64"
DEVEL = Built(
    "kernel-devel",
    "3.10.0",
    "957.el7",
    requires=("perl", "gcc >= 4.8"),
    provides=(f"kernel-devel-uname-r = {RELEASE}",),
    files={
        f"/usr/src/kernels/{RELEASE}/Makefile": "all:",
        f"/usr/src/kernels/{RELEASE}/include/linux/a.h": "#define A",
        f"/lib/modules/{RELEASE}/build": f"-> /usr/src/kernels/{RELEASE}",
        "/usr/src/kernels/current": f"-> {RELEASE}",
    },
)
NAMES = {
    f"usr/src/kernels/{RELEASE}/Makefile",
    f"usr/src/kernels/{RELEASE}/include/linux/a.h",
    f"lib/modules/{RELEASE}/build",
    "usr/src/kernels/current",
}


@pytest.fixture(scope="module")
def key() -> Iterator[RpmKey]:
    """The distribution's key."""
    with RpmKey("made") as made:
        yield made


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, key: RpmKey) -> dict[str, Path]:
    """A signed kernel-devel by its payload's compression; `unsigned`; `new`: only its header is signed."""
    folder = tmp_path_factory.mktemp("rpms")
    made = {payload: build_rpms([DEVEL], folder / payload, payload=payload)[0] for payload in PAYLOADS}
    made["unsigned"] = Path(shutil.copy(made["gz"], folder / "unsigned.rpm"))
    made["new"] = Path(shutil.copy(made["gz"], folder / "new.rpm"))
    key.sign_rpms([made[payload] for payload in PAYLOADS])
    key.sign_rpms([made["new"]], whole=False)
    return made


def keys(key: RpmKey, fingerprint: str = "") -> SigningKeys:
    """Those that may sign."""
    return SigningKeys(key.keyring, "made-keys", (fingerprint or key.fingerprint,))


def refused(call: Callable[[], object]) -> str:
    """What an IntegrityError says; it must carry a hint and the exit status."""
    with pytest.raises(IntegrityError) as caught:
        call()
    assert caught.value.hint and caught.value.exit_code == ExitCode.INTEGRITY
    return caught.value.message


def changed(rpm: Path, into: Path, offset: int) -> Path:
    """A copy with one byte flipped; a negative offset counts from the end."""
    content = bytearray(rpm.read_bytes())
    content[offset] ^= 0xFF
    into.write_bytes(content)
    return into


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_payload_unpacks_with_its_links(packages: dict[str, Path], tmp_path: Path, payload: str) -> None:
    assert set(unpack_rpm(packages[payload], tmp_path)) == NAMES
    assert set(list_rpm(packages[payload])) == NAMES
    assert (tmp_path / f"lib/modules/{RELEASE}/build/Makefile").read_text() == "all:\n"
    assert str((tmp_path / f"lib/modules/{RELEASE}/build").readlink()) == f"../../../usr/src/kernels/{RELEASE}"
    assert str((tmp_path / "usr/src/kernels/current").readlink()) == RELEASE


@pytest.mark.skipif(shutil.which("rpm2cpio") is None or shutil.which("cpio") is None, reason="no rpm2cpio and cpio")
def test_it_unpacks_as_rpm2cpio_and_cpio_do(packages: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    stream = subprocess.run(["rpm2cpio", packages["xz"]], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-idm", "--quiet"], input=stream, cwd=tmp_path / "theirs", check=True)
    unpack_rpm(packages["xz"], tmp_path / "ours")
    build = tmp_path / "theirs" / f"lib/modules/{RELEASE}/build"
    build.unlink()  # cpio leaves the link absolute.
    (tmp_path / "ours" / f"lib/modules/{RELEASE}/build").unlink()
    subprocess.run(["diff", "-r", "--no-dereference", tmp_path / "ours", tmp_path / "theirs"], check=True)


def test_only_the_members_asked_for_are_unpacked(packages: dict[str, Path], tmp_path: Path) -> None:
    wanted = f"usr/src/kernels/{RELEASE}/Makefile"
    assert unpack_rpm(packages["zst"], tmp_path, members=lambda name: name == wanted, count=1) == (wanted,)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["Makefile"]


def test_the_header_says_what_the_package_is(packages: dict[str, Path]) -> None:
    header = read_header(packages["xz"])
    assert (header.name, str(header.evr), header.arch) == ("kernel-devel", "3.10.0-957.el7", "x86_64")
    assert header.payload_compressor == "xz"
    assert {"perl", "gcc (>= 4.8)"} <= {str(one) for one in header.requires}
    assert f"kernel-devel-uname-r (= {RELEASE})" in {str(one) for one in header.provides}
    query = ["rpm", "-qp", "--nosignature", "--qf", "%{PAYLOADDIGEST} %{BUILDTIME}", str(packages["xz"])]
    theirs = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    assert theirs == f"{header.payload_sha256} {header.build_time}"


@pytest.mark.parametrize("which", [*PAYLOADS, "new"])
def test_a_good_signature_is_believed(packages: dict[str, Path], key: RpmKey, which: str) -> None:
    assert verify_rpm(packages[which], keys(key)) == key.fingerprint


def test_an_unsigned_package_is_refused(packages: dict[str, Path], key: RpmKey) -> None:
    assert refused(lambda: verify_rpm(packages["unsigned"], keys(key))) == "unsigned.rpm: it is not signed"


def test_a_key_that_is_not_pinned_counts_for_nothing(packages: dict[str, Path], key: RpmKey) -> None:
    said = refused(lambda: verify_rpm(packages["gz"], keys(key, "F" * 40)))
    assert "not signed by a key of this distribution" in said and key.fingerprint in said


def test_a_missing_keyring_names_the_package_to_install(packages: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        verify_rpm(packages["gz"], SigningKeys(tmp_path / "none", "made-keys", ("F" * 40,)))
    assert caught.value.hint == "Install the keys: apt-get install made-keys."


@pytest.mark.parametrize("which", ["gz", "new"])
def test_a_changed_payload_is_refused(packages: dict[str, Path], key: RpmKey, tmp_path: Path, which: str) -> None:
    rpm = changed(packages[which], tmp_path / "changed.rpm", -20)
    assert "its payload differs from the digest that was signed" in refused(lambda: verify_rpm(rpm, keys(key)))


def as_of_el7(rpm: Path, key: RpmKey, into: Path, *, header_signature: bool = True) -> Path:
    """The package as rpm before 4.14 wrote it: no digest of the payload; signatures of the header, and of both."""
    content = rpm.read_bytes()
    with rpm.open("rb") as source:
        front = read_front(source, rpm.name)
    signed = front.signed.replace(struct.pack(">I", 5092), struct.pack(">I", 5082))
    payload = content[front.payload_offset :]
    values = {1002: key.detached(signed + payload, armor=False)}
    if header_signature:
        values[268] = key.detached(signed, armor=False)
    entries, data = b"", b""
    for tag, value in sorted(values.items()):
        entries += struct.pack(">IIII", tag, 7, len(data), len(value))
        data += value
    signatures = b"\x8e\xad\xe8\x01" + struct.pack(">III", 0, len(values), len(data)) + entries + data
    signatures += b"\0" * (-len(signatures) % 8)
    into.write_bytes(content[:96] + signatures + signed + payload)
    return into


@pytest.mark.parametrize("header_signature", [True, False])
def test_without_a_payload_digest_the_signature_of_both_decides(
    packages: dict[str, Path], key: RpmKey, tmp_path: Path, header_signature: bool
) -> None:
    rpm = as_of_el7(packages["xz"], key, tmp_path / "old.rpm", header_signature=header_signature)
    assert not read_header(rpm).payload_sha256
    assert verify_rpm(rpm, keys(key)) == key.fingerprint
    bad = changed(rpm, tmp_path / "bad.rpm", -20)
    assert "the signature does not match the content" in refused(lambda: verify_rpm(bad, keys(key)))


def test_a_changed_header_is_refused(packages: dict[str, Path], key: RpmKey, tmp_path: Path) -> None:
    with packages["new"].open("rb") as source:
        front = read_front(source, "new.rpm")
    rpm = changed(packages["new"], tmp_path / "changed.rpm", front.payload_offset - 3)
    assert "its header differs from the sha256 given for it" in refused(lambda: verify_rpm(rpm, keys(key)))


@pytest.mark.parametrize("kept", [10, 100, 1000, -300])
def test_a_package_cut_short_is_refused(packages: dict[str, Path], tmp_path: Path, kept: int) -> None:
    rpm = tmp_path / "cut.rpm"
    rpm.write_bytes(packages["xz"].read_bytes()[:kept])
    assert refused(lambda: unpack_rpm(rpm, tmp_path / "out")).startswith("cut.rpm: ")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_flipped_byte_gives_anything_but_a_clear_error(
    packages: dict[str, Path], tmp_path: Path, payload: str
) -> None:
    size = packages[payload].stat().st_size
    for offset in range(96, size, max(1, size // 60)):
        rpm = changed(packages[payload], tmp_path / "flipped.rpm", offset)
        try:
            unpack_rpm(rpm, tmp_path / "out")
        except IntegrityError as error:
            assert error.message.startswith("flipped.rpm: ") and error.hint


def test_something_else_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "a.rpm").write_bytes(b"<html>" * 100)
    assert refused(lambda: read_header(tmp_path / "a.rpm")) == "a.rpm: this is no RPM package"


def test_a_header_of_absurd_size_is_refused_before_it_is_read(packages: dict[str, Path], tmp_path: Path) -> None:
    content = packages["gz"].read_bytes()
    rpm = tmp_path / "huge.rpm"
    rpm.write_bytes(content[:96] + b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", 5, 0xFFFFFFFF) + content)
    assert "a header of 5 entries and 4294967295 bytes" in refused(lambda: read_header(rpm))


def newc(*members: tuple[str, int, bytes, int, int]) -> io.BytesIO:
    """A cpio archive of (name, mode, content, inode, links)."""
    out = bytearray()
    for name, mode, content, inode, links in (*members, ("TRAILER!!!", 0, b"", 0, 1)):
        fields = (inode, mode, 0, 0, links, 1_700_000_000, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % one for one in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return io.BytesIO(bytes(out))


FILE, LINK, FOLDER, FIFO = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755, stat.S_IFIFO | 0o644


def unpack(archive: io.BytesIO, into: Path) -> tuple[str, ...]:
    """As unpack_rpm does."""
    return unpack_members(cpio_members(archive, "a.rpm"), into, archive="a.rpm")


def test_hard_links_whose_content_comes_last(tmp_path: Path) -> None:
    archive = newc(("./a", FILE, b"", 7, 3), ("./b", FILE, b"", 7, 3), ("./c", FILE, b"text", 7, 3))
    assert unpack(archive, tmp_path) == ("c", "a", "b")
    assert (tmp_path / "a").read_bytes() == b"text" and (tmp_path / "a").samefile(tmp_path / "c")


def test_files_with_several_names_and_no_content_are_empty_files(tmp_path: Path) -> None:
    unpack(newc(("./a", FILE, b"", 7, 2), ("./b", FILE, b"", 7, 2)), tmp_path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b""


@pytest.mark.parametrize(
    ("member", "said"),
    [
        pytest.param(("./../x", FILE, b"", 1, 1), "'./../x' would be written outside the folder", id="parent"),
        pytest.param(("./a", LINK, b"../../etc", 1, 1), "'a' links to '../../etc', outside the folder", id="link"),
        pytest.param(("./a", FIFO, b"", 1, 1), "'a' is neither file, folder nor link", id="fifo"),
    ],
)
def test_what_leaves_the_folder_is_refused(tmp_path: Path, member: tuple[str, int, bytes, int, int], said: str) -> None:
    assert said in refused(lambda: unpack(newc(member), tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_absolute_name_lands_inside(tmp_path: Path) -> None:
    unpack(newc(("/etc/x", FILE, b"1", 1, 1)), tmp_path)
    assert (tmp_path / "etc/x").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        pytest.param(b"07070X" + b"0" * 104, "files above 4 GB", id="stripped"),
        pytest.param(b"junk" * 50, "damaged", id="junk"),
        pytest.param(newc(("./a", FILE, b"x" * 999, 1, 1)).getvalue()[:300], "cut short", id="cut"),
        pytest.param(b"070701" + b"f" * 104, "a name of 4294967295 bytes", id="long-name"),
        pytest.param(newc(("./a", LINK, b"x" * 70_000, 1, 1)).getvalue(), "a link of 70000 bytes", id="long-link"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, stream: bytes, said: str) -> None:
    assert said in refused(lambda: unpack(io.BytesIO(stream), tmp_path / "out"))
