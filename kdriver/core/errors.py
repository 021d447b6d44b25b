"""The one error tree. Only the command line catches it and turns it into an exit status."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses of every command."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    BUILD = 4
    VERIFICATION = 5
    INTEGRITY = 6
    LOAD = 7


class KdriverError(Exception):
    """A fault that a person can act on.

    message: the subject, the fact, and what was expected instead; one line.
    hint: one imperative sentence on what to do next.
    """

    exit_code = ExitCode.SOME_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(KdriverError):
    """The user's words, a file of settings, or the machine's set-up are off."""

    exit_code = ExitCode.USAGE


class NotFoundError(KdriverError):
    """A distribution, kernel, event or driver of that name does not exist."""

    exit_code = ExitCode.NOT_FOUND


class DownloadError(KdriverError):
    """A server did not answer, or not with what was asked for."""


class BuildError(KdriverError):
    """A compiler, linker or a check after the build said no."""

    exit_code = ExitCode.BUILD


class VerifyError(KdriverError):
    """A verification could not be carried out, or a driver failed it."""

    exit_code = ExitCode.VERIFICATION


class IntegrityError(KdriverError):
    """A signature, digest or size differs from what was promised."""

    exit_code = ExitCode.INTEGRITY


class LoadError(KdriverError):
    """The host's kernel refused a driver, or it may not be loaded here."""

    exit_code = ExitCode.LOAD


_BY_STATUS: dict[int, type[KdriverError]] = {
    int(one.exit_code): one for one in (ConfigError, NotFoundError, BuildError, VerifyError, IntegrityError, LoadError)
}


def error_of_status(status: int, message: str, *, hint: str | None = None) -> KdriverError:
    """An error that ended elsewhere with this exit status, as one of this tree."""
    return _BY_STATUS.get(status, KdriverError)(message, hint=hint)
