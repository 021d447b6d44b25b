"""A kernel-devel tree as Red Hat's packages install it, made of a real kernel's Debian header packages."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.headers import HeaderTree


def merge_tree(tree: HeaderTree, into: Path, release: str) -> Path:
    """Source, configuration and host tools in one folder, under another name of the kernel. Only x86."""
    (kbuild,) = (tree.root / "usr" / "lib").glob("linux-kbuild-*")
    shutil.copytree(tree.source_dir, into, symlinks=False, ignore_dangling_symlinks=True)
    for name in ("arch", "include"):
        shutil.copytree(tree.build_dir / name, into / name, dirs_exist_ok=True)
    for name in ("scripts", "tools"):
        shutil.rmtree(into / name, ignore_errors=True)
        shutil.copytree(kbuild / name, into / name, symlinks=False, ignore_dangling_symlinks=True)
    for name in (".config", "Module.symvers"):
        shutil.copy(tree.build_dir / name, into / name)
    (into / "include/generated/utsrelease.h").write_text(f'#define UTS_RELEASE "{release}"\n')
    (into / "include/config/kernel.release").write_text(f"{release}\n")
    return into
