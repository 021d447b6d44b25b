"""Keys and certificates are judged before anything is built; no secret is taken from the command line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from builder.signing import PIN_VARIABLE, load_signing_key, sign_argv, sign_environment
from kdriver.core.errors import ConfigError
from tests.fakes.signing_keys import make_key


def refused(key: str, certificate: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_signing_key(key, certificate)
    assert "\n" not in caught.value.message
    return caught.value


def test_fitting_pair_is_taken_in_pem_and_der(tmp_path: Path) -> None:
    pem, der = make_key(tmp_path), make_key(tmp_path, "other", der=True)
    assert len(load_signing_key(str(pem.key), pem.certificate).fingerprint) == 64
    assert not load_signing_key(str(der.key), der.certificate).is_token
    assert load_signing_key("pkcs11:token=kdriver;object=key", pem.certificate).is_token


def test_expired_and_future_certificates_are_one_clear_line(tmp_path: Path) -> None:
    old = make_key(tmp_path, "old", starts=timedelta(days=-9), ends=timedelta(days=-2))
    new = make_key(tmp_path, "new", starts=timedelta(days=2))
    assert refused(str(old.key), old.certificate).message.startswith(
        f"{old.certificate}: the certificate expired on 20"
    )
    assert "is valid only from 20" in refused(str(new.key), new.certificate).message


def test_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    one, other = make_key(tmp_path), make_key(tmp_path, "other")
    message = refused(str(one.key), other.certificate).message
    assert message == f"{other.certificate}: is not the certificate of {one.key}"


def test_passphrase_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make_key(tmp_path, passphrase="open sesame")
    monkeypatch.delenv(PIN_VARIABLE, raising=False)
    error = refused(str(pair.key), pair.certificate)
    assert error.message == f"{pair.key}: the key has a passphrase"
    assert PIN_VARIABLE in (error.hint or "")
    monkeypatch.setenv(PIN_VARIABLE, "wrong")
    assert refused(str(pair.key), pair.certificate).message == f"{pair.key}: its passphrase is wrong"
    monkeypatch.setenv(PIN_VARIABLE, "open sesame")
    signing = load_signing_key(str(pair.key), pair.certificate)
    assert "open sesame" not in " ".join(sign_argv(Path("/sign-file"), signing, Path("/m"), Path("/o")))
    assert sign_environment()["KBUILD_SIGN_PIN"] == "open sesame"
    plain = make_key(tmp_path, "plain")
    assert load_signing_key(str(plain.key), plain.certificate), "a passphrase that is not needed does no harm"


def test_secret_on_the_command_line_is_refused(tmp_path: Path) -> None:
    pair = make_key(tmp_path)
    for word in ("pkcs11:token=kdriver;object=key?pin-value=4321", pair.key.read_text()):
        error = refused(word, pair.certificate)
        assert error.message.startswith("--sign-key: holds a secret")
        assert "4321" not in error.message + (error.hint or "")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"nothing", "is no X.509 certificate"), (b"-----BEGIN x", "is no X.509 certificate")],
)
def test_certificate_that_is_none_is_told(content: bytes | None, says: str, tmp_path: Path) -> None:
    pair = make_key(tmp_path)
    other = tmp_path / "other.crt"
    if content is not None:
        other.write_bytes(content)
    assert says in refused(str(pair.key), other).message


def test_a_path_may_have_any_name_and_a_key_itself_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "BEGIN"
    folder.mkdir()
    pair = make_key(folder)
    assert load_signing_key(str(pair.key), pair.certificate).key == str(pair.key)
    assert "holds a secret" in refused(pair.key.read_text(), pair.certificate).message
