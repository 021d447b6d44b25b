"""`kdriver build --sign-key`: two files of one build, checked by openssl; a key in a token; published and chosen."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.failure import StepError
from builder.images.base import mmdebstrap_argv
from builder.signing import PIN_VARIABLE, host_tools, load_signing_key, sign_stored
from builder.store import Stored, find_stored, put
from kdriver.cli import run
from kdriver.core.errors import ConfigError, ExitCode, IntegrityError
from kdriver.core.verdict import Outcome
from kdriver.inspect.signature import read_signature
from kdriver.repository.check import check_repository
from kdriver.repository.draft import read_entry
from kdriver.repository.gather import Built, gather
from kdriver.repository.metadata import SignedMetadata
from kdriver.repository.publish import Action
from kernel_index.table import load_table
from tests.fakes.published import Published, candidate
from tests.fakes.signing_keys import PIN, KeyPair, make_key, token_of
from tests.fakes.tiny_kernel import TOY_DRIVER, BuildSite

Capture = pytest.CaptureFixture[str]
TOKEN = "pkcs11:token=kdriver;object=key"


def build(*words: str) -> int:
    return run(["build", "--distro", "debian12", "--kind", "kmod", "--driver-src", str(TOY_DRIVER), "--json", *words])


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


def verify_by_openssl(module: Path, pair: KeyPair, scratch: Path) -> None:
    found = read_signature(module.read_bytes())
    assert found is not None
    (scratch / "message").write_bytes(found.message)
    (scratch / "content").write_bytes(found.signed)
    argv = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(scratch / "message")]
    argv += ["-content", str(scratch / "content"), "-certfile", str(pair.certificate), "-CAfile", str(pair.certificate)]
    argv += ["-purpose", "any", "-out", "/dev/null"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_signed_and_unsigned_module_are_two_files_of_one_build(
    site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    kernel = site.add()
    pair = make_key(tmp_path)
    out = tmp_path / "out"
    words = ["--sign-key", str(pair.key), "--sign-cert", str(pair.certificate), "--out", str(out)]
    assert build(*words) == ExitCode.DONE
    (one,) = results(capsys)
    plain, signed = Path(one["artifact"]), Path(one["signed"])
    assert signed == out / kernel.release / "signed" / "kdriver.ko"
    found = read_signature(signed.read_bytes())
    assert found is not None and found.signed == plain.read_bytes()
    verify_by_openssl(signed, pair, tmp_path)
    record = json.loads(signed.with_name("kdriver.ko.json").read_text())
    assert record["signer"] == one["signer"] == load_signing_key(str(pair.key), pair.certificate).fingerprint
    assert record["unsigned"] == one["sha256"]
    provenance = json.loads(signed.with_name("kdriver.ko.provenance.json").read_text())
    assert provenance["subject"][0]["digest"]["sha256"] == record["sha256"]
    log = (site.cache / "logs" / kernel.key / "kmod.log").read_text()
    assert log.count("LD [M]") == 1, "one compile"
    assert build(*words) == ExitCode.DONE
    (again,) = results(capsys)
    assert again["outcome"] == "cached"
    assert Path(again["signed"]).read_bytes() == signed.read_bytes()


def test_key_is_in_no_log_and_no_record(site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add()
    pair = make_key(tmp_path, passphrase="open sesame")
    monkeypatch.setenv(PIN_VARIABLE, "open sesame")
    assert build("--sign-key", str(pair.key), "--sign-cert", str(pair.certificate)) == ExitCode.DONE
    for path in site.cache.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"open sesame" not in content and b"PRIVATE KEY" not in content, path


@pytest.mark.parametrize(
    "words", [["--sign-key", "key.pem"], ["--sign-cert", "cert.pem"]], ids=["no certificate", "no key"]
)
def test_key_and_certificate_go_together(words: list[str], site: BuildSite, capsys: Capture) -> None:
    site.add()
    assert build(*words) == ExitCode.USAGE
    assert "--sign-key and --sign-cert go together" in capsys.readouterr().err


def test_wrong_certificate_is_refused_before_anything_is_built(
    site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    site.add()
    one, other = make_key(tmp_path), make_key(tmp_path, "other")
    assert build("--sign-key", str(one.key), "--sign-cert", str(other.certificate)) == ExitCode.USAGE
    assert "is not the certificate of" in capsys.readouterr().err
    assert not site.server.requests


def test_kernels_own_sign_file_makes_what_openssl_and_we_accept(
    site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    tool = host_tools()[-1]
    site.add()
    assert build() == ExitCode.DONE
    (one,) = results(capsys)
    stored = find_stored(site.cache / "artifacts", Path(one["artifact"]).parent.name)
    assert stored is not None
    pair = make_key(tmp_path)
    signed = sign_stored(stored, load_signing_key(str(pair.key), pair.certificate), site.cache / "artifacts", (tool,))
    verify_by_openssl(signed.path, pair, tmp_path)


def built_module(site: BuildSite, capsys: Capture) -> Stored:
    site.add()
    assert build() == ExitCode.DONE
    (one,) = results(capsys)
    stored = find_stored(site.cache / "artifacts", Path(one["artifact"]).parent.name)
    assert stored is not None
    return stored


def test_openssl_signs_with_a_key_in_a_token_that_does_not_leave_it(
    site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pair, other = make_key(tmp_path), make_key(tmp_path, "other")
    for name, value in {**token_of(tmp_path, pair), PIN_VARIABLE: PIN}.items():
        monkeypatch.setenv(name, value)
    stored, store = built_module(site, capsys), site.cache / "artifacts"
    signed = sign_stored(stored, load_signing_key(TOKEN, pair.certificate), store, ())
    verify_by_openssl(signed.path, pair, tmp_path)
    with pytest.raises(ConfigError, match="is not the certificate of pkcs11:token=kdriver"):
        sign_stored(stored, load_signing_key(TOKEN, other.certificate), store, ())


@pytest.fixture(name="engine_tools", scope="module")
def engine_tools_of_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Linux 5.10's sign-file, which takes OpenSSL's engines, and the engine of its OpenSSL 1.1. Those of
    Debian's later kernels want a provider that Debian 12 does not have."""
    root = tmp_path_factory.mktemp("bullseye") / "root"
    (row,) = (one for one in load_table() if one.id == "debian11")
    argv = [word for word in mmdebstrap_argv(row, root) if word not in ("--variant=minbase", "--format=tar")]
    packages = "--include=linux-kbuild-5.10,libengine-pkcs11-openssl"
    argv[1:1] = ["--variant=extract", "--format=directory", packages]
    subprocess.run(argv, check=True, capture_output=True, timeout=300)
    return root


@pytest.mark.slow
@pytest.mark.network
def test_kernels_own_sign_file_signs_with_a_key_in_a_token(
    engine_tools: Path, site: BuildSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tool,) = engine_tools.glob("usr/lib/linux-kbuild-5.10/scripts/sign-file")
    libraries = engine_tools / "usr/lib/x86_64-linux-gnu"
    pair, other = make_key(tmp_path), make_key(tmp_path, "other")
    stored, store = built_module(site, capsys), site.cache / "artifacts"
    openssl = {"LD_LIBRARY_PATH": str(libraries), "OPENSSL_ENGINES": str(libraries / "engines-1.1")}
    for name, value in {**token_of(tmp_path, pair), **openssl, PIN_VARIABLE: PIN}.items():
        monkeypatch.setenv(name, value)
    # Nobody stands in for it.
    monkeypatch.setattr("builder.signing.openssl_argv", lambda *_: ["/bin/false"])
    signed = sign_stored(stored, load_signing_key(TOKEN, pair.certificate), store, (tool,))
    for name in openssl:
        monkeypatch.delenv(name)
    verify_by_openssl(signed.path, pair, tmp_path)
    said = subprocess.run(["modinfo", signed.path], capture_output=True, text=True, check=True).stdout
    assert "sig_hashalgo:   sha256" in said
    for name, value in openssl.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((ConfigError, StepError)):
        sign_stored(stored, load_signing_key(TOKEN, other.certificate), store, (tool,))


def test_token_that_nothing_can_open_is_a_failure_with_a_hint(
    site: BuildSite, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add()
    pair = make_key(tmp_path)
    monkeypatch.setenv("PKCS11_MODULE_PATH", "/nonexistent.so")
    assert build("--sign-key", TOKEN, "--sign-cert", str(pair.certificate)) == ExitCode.BUILD
    (one,) = results(capsys)
    assert one["failure"] == "toolchain"
    assert one["reason"].startswith(f"toolchain: neither sign-file nor openssl could sign with {TOKEN}: ")
    assert "PKCS11_MODULE_PATH" in one["hint"]


def test_signed_file_is_judged_by_the_verdict_on_the_unsigned_one(site: BuildSite, tmp_path: Path) -> None:
    published = Published(tmp_path)
    plain = candidate(tmp_path)
    pair = make_key(tmp_path)
    store = tmp_path / "store"
    stored = put(store, plain.path, plain.artifact)
    signed = sign_stored(stored, load_signing_key(str(pair.key), pair.certificate), store, ())
    verdicts = tmp_path / "verdicts"
    (verdicts / plain.artifact.sha256).mkdir(parents=True)
    assert plain.verdict is not None
    (verdicts / plain.artifact.sha256 / f"{plain.kernel.key.replace('/', '_')}.json").write_text(
        json.dumps(plain.verdict.to_json())
    )
    built = [Built(plain.artifact, plain.path), Built(signed.record, signed.path)]
    found = gather(built, [plain.kernel], [plain.artifact.kind], verdicts)
    assert [one.artifact.signer for one in found] == ["", signed.record.signer]
    steps = published.publish(*found)
    assert [step.action for step in steps] == [Action.PUBLISHED, Action.PUBLISHED]
    entry = read_entry(SignedMetadata(published.store), plain.kernel.key)
    assert entry is not None
    assert [(one.signed, one.outcome) for one in entry.drivers] == [(False, Outcome.PASSED), (True, Outcome.PASSED)]
    assert check_repository(published.store).faults == ()
    # A file whose unsigned content is another one than the record says does not get that verdict.
    other = tmp_path / "other.ko"
    shutil.copy(signed.path, other)
    content = bytearray(other.read_bytes())
    content[70] ^= 1
    other.write_bytes(bytes(content))
    forged = replace(found[1], path=other, artifact=replace(signed.record, sha256=hashlib.sha256(content).hexdigest()))
    with pytest.raises(IntegrityError, match="not the file that was judged"):
        published.publish(forged)
