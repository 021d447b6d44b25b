"""A suite's Release file: what it promises, and whether it may still be believed.

Format: https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from kdriver.core.errors import IntegrityError
from kdriver.packages.deb822 import parse_stanza

CLOCK_TOLERANCE = datetime.timedelta(hours=24)
"""How far in the future a Release may be dated before it is refused: clocks and time zones of build machines."""

_DIGEST = re.compile(r"^(?:[0-9a-f]{64}){1,2}$")


class StaleError(IntegrityError):
    """Signed metadata whose time has passed: the mirror is frozen, or the clock is wrong."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that a Release vouches for. path: relative to the suite's folder. digest: SHA-256, or SHA-512 where the
    Release has no other (Ubuntu from 26.10 on); lower-case hex."""

    path: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Release:
    """The facts of a Release file. date, valid_until: UTC; valid_until is None where the suite sets none.

    not_automatic: apt installs nothing from such a suite by itself (backports). separate_all: packages of
    architecture `all` are in lists of their own, not repeated in those of each architecture.
    """

    suite: str
    codename: str
    date: datetime.datetime
    valid_until: datetime.datetime | None
    by_hash: bool
    not_automatic: bool
    separate_all: bool
    architectures: tuple[str, ...]
    files: tuple[ListedFile, ...]

    def file(self, path: str) -> ListedFile | None:
        """The entry of that path, if there is one."""
        return next((entry for entry in self.files if entry.path == path), None)


def parse_release(text: str, *, subject: str) -> Release:
    """Parse the signed text of a Release. Raises IntegrityError when it lacks what a Release must have."""
    try:
        fields = parse_stanza(text)
        return Release(
            suite=fields.get("Suite", ""),
            codename=fields.get("Codename", ""),
            date=_date(fields["Date"]),
            valid_until=_date(fields["Valid-Until"]) if "Valid-Until" in fields else None,
            by_hash=fields.get("Acquire-By-Hash") == "yes",
            not_automatic=fields.get("NotAutomatic") == "yes",
            separate_all="all" in fields.get("Architectures", "").split()
            and "Packages" not in fields.get("No-Support-for-Architecture-all", "").split(),
            architectures=tuple(fields.get("Architectures", "").split()),
            files=_files(fields["SHA512"] if "SHA512" in fields and "SHA256" not in fields else fields["SHA256"]),
        )
    except KeyError as error:
        message = f"{subject}: the Release has no field {error.args[0]}"
        raise IntegrityError(message, hint="Use another mirror.") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise IntegrityError(f"{subject}: the Release is malformed ({error})", hint="Use another mirror.") from error


def check_release(release: Release, *, suite: str, now: datetime.datetime, subject: str) -> None:
    """Raise IntegrityError unless the Release is this suite's and not from the future. Whether its time has
    passed is check_still_valid's question."""
    if not _is_of(release, suite):
        raise IntegrityError(
            f"{subject}: the mirror sent the Release of {release.codename or release.suite or 'no suite'}",
            hint="Use another mirror.",
        )
    if release.date > now + CLOCK_TOLERANCE:
        raise IntegrityError(
            f"{subject}: its Release is dated {_day(release.date)}, which is in the future",
            hint="Set this machine's clock, or use another mirror.",
        )


def _is_of(release: Release, suite: str) -> bool:
    """Debian names a suite in Codename (`bookworm-updates`), Ubuntu in Suite (`noble-updates`, Codename: noble);
    Debian's security suites up to 10 are called `buster/updates` and name themselves buster."""
    name = suite.removesuffix("/updates")
    if name == release.suite:
        return True
    return name == release.codename and not release.suite.startswith(f"{release.codename}-")


def check_still_valid(valid_until: datetime.datetime | None, *, now: datetime.datetime, subject: str) -> None:
    """Raise StaleError when the time has passed."""
    if valid_until is not None and now > valid_until:
        raise StaleError(
            f"{subject}: its Release was valid until {_day(valid_until)}; the mirror is out of date",
            hint="Use another mirror, or check this machine's clock; --accept-stale SUITE takes a frozen one as it is.",
        )


def _day(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _date(text: str) -> datetime.datetime:
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def size_of(text: str) -> int:
    """A size in bytes as lists write it: digits and nothing else. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no size")
    return int(text)


def _files(text: str) -> tuple[ListedFile, ...]:
    files = []
    for line in text.splitlines():
        if line.strip():
            digest, size_bytes, path = line.split()
            if not _DIGEST.match(digest):
                raise ValueError(f"no SHA-256: {digest!r}")
            files.append(ListedFile(path, size_of(size_bytes), digest))
    return tuple(files)
