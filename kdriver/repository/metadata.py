"""The signed metadata of a repository (TUF, by python-tuf): root, targets in hash bins, snapshot, timestamp."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    TOP_LEVEL_ROLE_NAMES,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from kdriver.core.errors import ConfigError, IntegrityError, NotFoundError
from kdriver.repository.keys import ROLES, Keys
from kdriver.repository.layout import metadata_path, stored_path
from kdriver.repository.store import FolderStore

BIN_PREFIX = "bin"
_RENEW_WHEN_LEFT = 0.5
"""A role that nothing changed is signed again when less than this part of its lifetime is left."""

Signed = Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]


class SignedMetadata:
    """The metadata of one repository folder, as its timestamp describes it, with changes that are not yet written.

    Only the holder of the store's lock may commit. `timestamp` is written last: until then a client sees the
    former state whole, because no file of that state is ever replaced.
    """

    def __init__(self, store: FolderStore, keys: Keys | None = None) -> None:
        """Read and check what is there; without keys, only for reading.

        Raises NotFoundError when the folder is no repository, ConfigError when these keys are not its keys,
        IntegrityError when its metadata was tampered with."""
        self._store = store
        self._held = keys
        self._root = read_root(store)
        if keys is not None:
            self._check_keys(keys)
        self._timestamp: Metadata[Timestamp] = self._load("timestamp", None)
        self._snapshot: Metadata[Snapshot] = self._load("snapshot", self._timestamp.signed.snapshot_meta.version)
        self._targets: Metadata[Targets] = self._load("targets", self._snapshot.signed.meta["targets.json"].version)
        self._bins: dict[str, Metadata[Targets]] = {}
        self._changed: set[str] = set()

    @property
    def root(self) -> Root:
        """The newest root."""
        return self._root.signed

    @property
    def timestamp(self) -> Timestamp:
        """What a client reads first."""
        return self._timestamp.signed

    def targets(self) -> Iterator[TargetFile]:
        """All targets, bin by bin."""
        for name in self._bin_names():
            yield from self._bin(name).signed.targets.values()

    @property
    def _keys(self) -> Keys:
        if self._held is None:
            raise ConfigError("the repository was opened without keys", hint="Name the keys folder with --keys.")
        return self._held

    @property
    def version(self) -> int:
        """Of the timestamp: grows by one with every publication."""
        return self._timestamp.signed.version

    def target(self, path: str) -> TargetFile | None:
        """What the metadata says of a target, changes included; None when there is no such target."""
        return self._bin(self._bin_name(path)).signed.targets.get(path)

    def read_target(self, path: str) -> bytes | None:
        """A target's content, checked; None when there is no such target. Raises IntegrityError."""
        found = self.target(path)
        if found is None:
            return None
        content = self._store.read(stored_path(path, found.hashes["sha256"]))
        if len(content) != found.length or hashlib.sha256(content).hexdigest() != found.hashes["sha256"]:
            raise IntegrityError(
                f"{path}: the file in the repository differs from its signed digest",
                hint="Restore the repository folder from a mirror or a backup.",
            )
        return content

    def put_target(self, path: str, content: bytes) -> None:
        """Write a target's content under its digest and note it; the metadata is written by commit()."""
        digest = hashlib.sha256(content).hexdigest()
        stored = stored_path(path, digest)
        if not self._store.exists(stored):
            self._store.put(stored, content)
        self._note(path, digest, len(content))

    def put_target_file(self, path: str, source: Path, sha256: str) -> None:
        """Likewise for a file. Raises IntegrityError when the file is not the one with that digest."""
        content = source.read_bytes()  # once: what was checked is what is written
        digest = hashlib.sha256(content).hexdigest()
        if digest != sha256:
            raise IntegrityError(f"{source}: its digest is {digest}, its record says {sha256}", hint="Build it again.")
        self.put_target(path, content)

    def commit(self, now: datetime | None = None) -> bool:
        """Sign and write what changed, the timestamp last. Returns False, and writes nothing, when nothing changed."""
        if not self._changed:
            return False
        self._write_changed(now or datetime.now(UTC))
        return True

    def is_due(self, now: datetime) -> bool:
        """Whether refresh() is due: a role that every client reads has used up half of its lifetime."""
        ends = {
            "timestamp": self._timestamp.signed.expires,
            "snapshot": self._snapshot.signed.expires,
            "targets": self._targets.signed.expires,
        }
        return any(self._is_due(role, end, now) for role, end in ends.items())

    def refresh(self, now: datetime | None = None) -> tuple[str, ...]:
        """Sign a new snapshot and timestamp, and every other role that has used up half of its lifetime. Returns the
        roles that were signed. The root is renewed only when its key is here."""
        now = now or datetime.now(UTC)
        if self._is_due("root", self._root.signed.expires, now) and "root" in self._keys.signers:
            self._renew_root(now)
        if self._is_due("targets", self._targets.signed.expires, now):
            self._changed.add("targets")
        for name in self._bin_names():
            if self._is_due("targets", self._bin(name).signed.expires, now):
                self._changed.add(name)
        renewed = (*sorted(self._changed), "snapshot", "timestamp")
        self._write_changed(now)
        return renewed

    def _write_changed(self, now: datetime) -> None:
        self._store.barrier()
        for name in sorted(self._changed):
            role = self._targets if name == "targets" else self._bin(name)
            role.signed.version += 1
            role.signed.expires = _expires(now, self._keys.policy.days("targets"))
            self._write(role, name, role.signed.version, "targets")
            self._snapshot.signed.meta[f"{name}.json"] = MetaFile(role.signed.version)
        self._changed.clear()
        self._snapshot.signed.version += 1
        self._timestamp.signed.version += 1
        _seal(self._store, self._keys, self._snapshot, self._timestamp, now)

    def _renew_root(self, now: datetime) -> None:
        root = self._root
        root.signed.version += 1
        root.signed.expires = _expires(now, self._keys.policy.days("root"))
        self._write(root, "root", root.signed.version, "root")

    def _note(self, path: str, digest: str, size_bytes: int) -> None:
        name = self._bin_name(path)
        targets = self._bin(name).signed.targets
        known = targets.get(path)
        if known is None or known.hashes["sha256"] != digest:
            targets[path] = TargetFile(size_bytes, {"sha256": digest}, path)
            self._changed.add(name)

    def _bin_name(self, path: str) -> str:
        return _succinct(self._targets).get_role_for_target(path)

    def _bin_names(self) -> list[str]:
        return list(_succinct(self._targets).get_roles())

    def _bin(self, name: str) -> Metadata[Targets]:
        if name not in self._bins:
            self._bins[name] = self._load(name, self._snapshot.signed.meta[f"{name}.json"].version)
        return self._bins[name]

    def _load(self, role: str, version: int | None) -> Metadata:  # type: ignore[type-arg]
        path = metadata_path(role, version)
        parent = self._root.signed if role in TOP_LEVEL_ROLE_NAMES else self._targets.signed
        try:
            loaded: Signed = Metadata.from_bytes(self._store.read(path))
            parent.verify_delegate(role, loaded.signed_bytes, loaded.signatures)
        except (OSError, RepositoryError) as error:
            raise IntegrityError(
                f"{self._store.path(path)}: {error}", hint="Restore the repository folder from a mirror or a backup."
            ) from error
        if version is not None and loaded.signed.version != version:
            raise IntegrityError(f"{path}: holds version {loaded.signed.version}", hint="Restore it from a backup.")
        return loaded

    def _write(self, role: Signed, name: str, version: int, signer: str) -> None:
        _write_signed(self._store, self._keys, role, metadata_path(name, version), signer)

    def _check_keys(self, keys: Keys) -> None:
        for role, signer in keys.signers.items():
            if signer.public_key.keyid not in self._root.signed.roles[role].keyids:
                raise ConfigError(
                    f"{self._store.root}: is not signed by the {role} key in the keys folder",
                    hint="Name the keys folder that this repository was made with.",
                )

    def _is_due(self, policy_role: str, expires: datetime, now: datetime) -> bool:
        return expires - now < timedelta(days=self._keys.policy.days(policy_role)) * _RENEW_WHEN_LEFT


def create(store: FolderStore, keys: Keys, now: datetime | None = None) -> Root:
    """Write the first metadata of an empty repository. Raises ConfigError when there is a repository already."""
    now = now or datetime.now(UTC)
    require_empty(store)
    policy = keys.policy
    root = Root(expires=_expires(now, policy.root_days), consistent_snapshot=True)
    for role in ROLES:
        root.add_key(keys.signer(role).public_key, role)
    targets_key = keys.signer("targets").public_key
    succinct = SuccinctRoles([targets_key.keyid], 1, policy.bin_bits, BIN_PREFIX)
    targets = Targets(
        expires=_expires(now, policy.targets_days),
        delegations=Delegations({targets_key.keyid: targets_key}, succinct_roles=succinct),
    )
    snapshot = Snapshot(meta={"targets.json": MetaFile(1)})
    _write_signed(store, keys, Metadata(root), metadata_path("root", 1), "root")
    _write_signed(store, keys, Metadata(targets), metadata_path("targets", 1), "targets")
    for name in succinct.get_roles():
        empty = Targets(expires=_expires(now, policy.targets_days))
        _write_signed(store, keys, Metadata(empty), metadata_path(name, 1), "targets")
        snapshot.meta[f"{name}.json"] = MetaFile(1)
    _seal(store, keys, Metadata(snapshot), Metadata(Timestamp()), now)
    return root


def require_empty(store: FolderStore) -> None:
    """Raise ConfigError when there is a repository already."""
    if store.exists(metadata_path("timestamp", None)):
        raise ConfigError(f"{store.root}: is a repository already", hint="Name an empty folder with --repo.")


def read_root(store: FolderStore) -> Metadata[Root]:
    """The newest root of a repository folder. Raises NotFoundError when the folder is no repository."""
    version = 1
    while store.exists(metadata_path("root", version + 1)):
        version += 1
    try:
        root: Metadata[Root] = Metadata.from_bytes(store.read(metadata_path("root", version)))
        root.verify_delegate("root", root)
    except FileNotFoundError:
        raise NotFoundError(
            f"{store.root}: is no repository: it has no {metadata_path('root', 1)}",
            hint="Make one with `kdriver repo init`.",
        ) from None
    except RepositoryError as error:
        raise IntegrityError(f"{store.root}: its root metadata: {error}", hint="Restore it from a backup.") from error
    return root


def _seal(
    store: FolderStore, keys: Keys, snapshot: Metadata[Snapshot], timestamp: Metadata[Timestamp], now: datetime
) -> None:
    """Write the snapshot, then, when all before it is durable, the timestamp that points at it."""
    snapshot.signed.expires = _expires(now, keys.policy.snapshot_days)
    content = _write_signed(store, keys, snapshot, metadata_path("snapshot", snapshot.signed.version), "snapshot")
    timestamp.signed.expires = _expires(now, keys.policy.timestamp_days)
    digest = hashlib.sha256(content).hexdigest()
    timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version, len(content), {"sha256": digest})
    store.barrier()
    _write_signed(store, keys, timestamp, metadata_path("timestamp", None), "timestamp")
    store.barrier()


def _write_signed(store: FolderStore, keys: Keys, role: Signed, path: str, signer: str) -> bytes:
    role.sign(keys.signer(signer))
    content: bytes = role.to_bytes(JSONSerializer(compact=True))
    store.put(path, content)
    return content


def _succinct(targets: Metadata[Targets]) -> SuccinctRoles:
    delegations = targets.signed.delegations
    if delegations is None or delegations.succinct_roles is None:
        raise IntegrityError(
            "targets.json delegates to no hash bins", hint="Make the repository again with `kdriver repo init`."
        )
    return delegations.succinct_roles


def _expires(now: datetime, days: int) -> datetime:
    return (now + timedelta(days=days)).replace(microsecond=0)
