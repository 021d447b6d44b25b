"""The running kernel's modules, as sysfs shows them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kdriver.core.errors import LoadError
from kdriver.loader.modules import LinuxModules, LoadedModule, explain_remove


def sysfs(root: Path, name: str, **files: str) -> Path:
    folder = root / name
    (folder / "parameters").mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def test_a_loaded_module_is_read_from_sysfs(tmp_path: Path) -> None:
    folder = sysfs(tmp_path, "kdriver", initstate="live\n", refcnt="2\n", version="0.1.0\n", srcversion="ABC\n")
    (folder / "parameters/size").write_text("8\n")
    (folder / "notes").mkdir()
    (folder / "notes/.note.gnu.build-id").write_bytes(b"\x04\x00")
    assert LinuxModules(tmp_path).loaded("kdriver") == LoadedModule(
        "kdriver", 2, "0.1.0", "ABC", b"\x04\x00", (("size", "8"),)
    )


def test_what_is_built_in_is_not_loaded(tmp_path: Path) -> None:
    sysfs(tmp_path, "kdriver", version="0.1.0\n")
    assert LinuxModules(tmp_path).loaded("kdriver") is None
    assert LinuxModules(tmp_path).loaded("other") is None


def test_a_module_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(OSError, match=r".") as caught:
        LinuxModules().remove("kd_no_such_module")
    # ENOENT from a kernel with modules, ENOSYS from one without, EPERM without the capability.
    assert caught.value.errno in (errno.ENOENT, errno.ENOSYS, errno.EPERM)


def test_a_file_that_is_no_module_is_refused_by_the_kernel(tmp_path: Path) -> None:
    path = tmp_path / "x.ko"
    path.write_bytes(b"no module")
    with pytest.raises(OSError, match=r".") as caught:
        LinuxModules().insert(path, "size=8")
    assert caught.value.errno in (errno.ENOEXEC, errno.ENOSYS, errno.EPERM)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EAGAIN, "kdriver: is in use (3 references) and stays loaded"),
        (errno.EPERM, "kdriver: this process may not unload modules"),
        (errno.ENOENT, f"kdriver: cannot be unloaded: {os.strerror(errno.ENOENT)}"),
    ],
)
def test_why_a_module_stays_is_explained(code: int, message: str) -> None:
    module = LoadedModule("kdriver", 3, "", "", b"", ())
    error: LoadError = explain_remove(OSError(code, os.strerror(code)), module)
    assert error.message == message
    assert error.hint
