"""Built artifacts, kept by what they were built from: <content key>/<file> and record.json, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from builder.keep import touch
from kdriver.core.artifact import Artifact
from kdriver.core.provenance import statement

RECORD = "record.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact in the store. path: its file."""

    path: Path
    record: Artifact


def content_key(parts: dict[str, object]) -> str:
    """SHA-256 of everything that goes into an artifact, over JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def find_stored(store: Path, key: str) -> Stored | None:
    """The artifact of that key, or None when it was not built yet or its file is not what its record says."""
    folder = store / key
    try:
        record = Artifact.from_json(json.loads((folder / RECORD).read_text()))
        content = (folder / record.file_name).read_bytes()
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    touch(folder)
    whole = record.content_key == key and hashlib.sha256(content).hexdigest() == record.sha256
    return Stored(folder / record.file_name, record) if whole else None


def put(store: Path, file: Path, record: Artifact) -> Stored:
    """Keep a file with its record under its content key; what stood there before is replaced."""
    store.mkdir(parents=True, exist_ok=True)
    home = store / record.content_key
    with tempfile.TemporaryDirectory(prefix=".put-", dir=store) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir(mode=0o755)
        write_pair(fresh / record.file_name, fresh / RECORD, file.read_bytes(), record)
        if home.exists():
            home.rename(Path(scratch) / "replaced")
        try:
            fresh.rename(home)
        except OSError:
            if find_stored(store, record.content_key) is None:
                raise  # else another process built the same at the same time
    return Stored(home / record.file_name, record)


def copy_out(stored: Stored, folder: Path, serves: str = "") -> Path:
    """Copy an artifact to `folder`/<file> with its record in <file>.json and its provenance, unsigned, in
    <file>.provenance.json; the copy's path. serves: the key of the kernel that shares it, where it was built for
    another one; the record in the folder then says so."""
    stored = replace(stored, record=replace(stored.record, serves=serves)) if serves else stored
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / stored.record.file_name
    write_pair(out, out.with_name(f"{out.name}.json"), stored.path.read_bytes(), stored.record)
    provenance = json.dumps(statement(stored.record), indent=2) + "\n"
    _write(out.with_name(f"{out.name}.provenance.json"), provenance.encode())
    return out


def write_pair(file: Path, record_file: Path, content: bytes, record: Artifact) -> None:
    """Write an artifact and its record, each atomically; the record last: a file without one does not count."""
    _write(file, content)
    _write(record_file, (json.dumps(record.to_json(), indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException as error:
        Path(partial).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
