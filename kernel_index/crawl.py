"""Updating the index: plan which suites to ask, ask several at a time, put kernels together, keep what was known."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError, DownloadError, IntegrityError, KdriverError
from kdriver.core.http import Http, RetryPolicy, StatusError, TransientError, redact
from kernel_index.family import family_of
from kernel_index.merge import merge_kernels
from kernel_index.sources import archive_mirrors, override_mirrors, override_values
from kernel_index.store import RowIndex, Store, SuiteState, locked, opened
from kernel_index.suites import BinaryPackage, Question, Suite, SuiteFetch, SuiteRecord, SuiteSource
from kernel_index.table import Archive, DistroRow

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Called with what was asked, for a person, when it is done."""

AT_A_TIME = 8
"""Suites that are asked at a time. More would not be faster: unpacking lists keeps the processors busy."""

_NOT_PATIENT = RetryPolicy(attempts=1, connect_timeout_s=4.0)
"""For archives that may be out of reach: nobody waits long to find out that they are."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A suite that is not asked. reason: why, and what to do about it."""

    archive: str
    suite: str
    reason: str


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What an update of one distribution release will ask. named: the user named this very release."""

    row: DistroRow
    sources: tuple[SuiteSource, ...]
    skips: tuple[Skip, ...] = ()
    named: bool = False

    def to_json(self) -> dict[str, Any]:
        """What `index update --dry-run --json` prints for the row."""
        family = family_of(self.row.family)
        return {
            "distro_release": self.row.id,
            "suites": [
                {
                    "suite": source.suite,
                    "archive": source.archive,
                    "urls": [
                        redact(family.release_url(mirror, source.suite, unsigned=self._is_unsigned(source)))
                        for mirror in source.mirrors
                    ],
                }
                for source in self.sources
            ],
            "skipped": [dataclasses.asdict(skip) for skip in self.skips],
        }

    def _is_unsigned(self, source: SuiteSource) -> bool:
        return bool(self.row.archive(source.archive).unsigned)


@dataclass(frozen=True, slots=True)
class RowResult:
    """What an update of one distribution release gave.

    index: how its suites went, without kernels. kernels: how many are known now. new: keys of those that were seen
    for the first time, gone: of those that no suite has any more since this update. bytes_read: by archive and
    suite; errors: of the suites that failed, in their order.
    """

    index: RowIndex
    kernels: int
    new: tuple[str, ...]
    gone: tuple[str, ...]
    bytes_read: tuple[tuple[tuple[str, str], int], ...]
    seconds: float
    errors: tuple[KdriverError, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What `index update --json` prints for the row. seconds: from the start of the whole update."""
        read = dict(self.bytes_read)
        return {
            "distro_release": self.index.distro_release,
            "partial": self.index.partial,
            "kernels": self.kernels,
            "new": list(self.new),
            "gone": list(self.gone),
            "bytes": sum(read.values()),
            "seconds": round(self.seconds, 2),
            "suites": [
                {**suite.to_json(), "bytes": read.get((suite.archive, suite.suite), 0)} for suite in self.index.suites
            ],
        }


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """What the user says of an update. accept_stale: suites that are taken although their time has passed, `all`
    for every one. include: opt-in archives that are asked as well."""

    mirrors: tuple[str, ...] = ()
    accept_stale: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    at_a_time: int = AT_A_TIME


def plan_update(
    rows: Sequence[DistroRow], options: UpdateOptions | None = None, *, distro: str | None = None
) -> tuple[RowPlan, ...]:
    """What to ask, row by row, suites in the rows' order. distro: the word by which the rows were chosen.

    Raises ConfigError, also for a suite or archive that the options name and no row has.
    """
    options = options or UpdateOptions()
    _check_names(rows, options)
    return tuple(_plan_row(row, options, named=distro == row.id) for row in rows)


def _check_names(rows: Sequence[DistroRow], options: UpdateOptions) -> None:
    suites = {suite for row in rows for one in row.archives for suite in family_of(row.family).suites(row, one)}
    for suite in options.accept_stale:
        if suite not in suites | {"all"}:
            raise ConfigError(
                f"--accept-stale {suite}: no suite of that name is asked", hint="`kdriver index update -n` names them."
            )
    archives = sorted({archive.id for row in rows for archive in row.archives if archive.opt_in})
    for name in options.include:
        if name not in archives:
            raise ConfigError(
                f"--include {name}: no archive of that name is left out",
                hint=f"Use one of: {', '.join(archives) or 'none of them'}.",
            )


def _plan_row(row: DistroRow, options: UpdateOptions, *, named: bool) -> RowPlan:
    sources: list[SuiteSource] = []
    skips: list[Skip] = []
    for archive in row.archives:
        suites = family_of(row.family).suites(row, archive)
        reason = _reason_to_skip(row, archive, options)
        if reason:
            skips.extend(Skip(archive.id, suite, reason) for suite in suites)
            continue
        mirrors = archive_mirrors(row, archive, options.mirrors)
        named_mirrors = override_mirrors(row, archive, override_values(options.mirrors), general=False)
        sources.extend(SuiteSource(archive.id, suite, mirrors, named=bool(named_mirrors)) for suite in suites)
    return RowPlan(row, tuple(sources), tuple(skips), named)


def _reason_to_skip(row: DistroRow, archive: Archive, options: UpdateOptions) -> str:
    if archive.opt_in and archive.id not in options.include:
        return f"not asked for: --include {archive.id} does"
    missing = family_of(row.family).missing(row, archive)
    if missing:
        return missing
    if not archive_mirrors(row, archive, options.mirrors):
        return f"no mirror is known: name one with --mirror {archive.id}=URL"
    return ""


def run_update(
    plans: Sequence[RowPlan],
    options: UpdateOptions | None = None,
    *,
    path: Path | None = None,
    http: Http | None = None,
    now: datetime.datetime | None = None,
    report: Report | None = None,
) -> tuple[RowResult, ...]:
    """Update the index, and return one result per plan.

    A suite that fails keeps its last good state and is named in its row's result; the index is then partial.
    Raises ConfigError when another update is running; the error of the first suite when of all rows not one suite
    could be asked.
    """
    options = options or UpdateOptions()
    now = now or datetime.datetime.now(datetime.UTC)
    run = _Run(path, http or Http(), now, report or _say_nothing, options, time.monotonic())
    with locked(path):
        results = tuple(_update(plans, run))
    errors = [error for result in results for error in result.errors]
    asked = sum(suite.outcome != "skipped" for result in results for suite in result.index.suites)
    if errors and len(errors) == asked:
        raise next((error for error in errors if isinstance(error, IntegrityError)), errors[0])
    return results


@dataclass(frozen=True, slots=True)
class _Run:
    path: Path | None
    http: Http
    now: datetime.datetime
    report: Report
    options: UpdateOptions
    started: float

    @property
    def today(self) -> str:
        return self.now.date().isoformat()


@dataclass(frozen=True, slots=True)
class _Answered:
    """How a suite went. fetched: None when it failed; error: of the failure."""

    source: SuiteSource
    previous: SuiteRecord | None
    fetched: SuiteFetch | None
    error: KdriverError | None


def _say_nothing(text: str) -> None:
    del text


def _update(plans: Sequence[RowPlan], run: _Run) -> Iterator[RowResult]:
    """Rows are put together and written in their order while suites of later ones are still being asked."""
    with opened(run.path, create=True) as store:
        known_lists = store.list_ids()
        records = {plan.row.id: store.records(plan.row.id) for plan in plans}
    patient, other = run.http, Http(_NOT_PATIENT)
    with concurrent.futures.ThreadPoolExecutor(max_workers=run.options.at_a_time) as pool:
        waiting = [
            [
                pool.submit(
                    _ask, _question(plan.row, source, records[plan.row.id], known_lists, run, patient, other), run
                )
                for source in plan.sources
            ]
            for plan in plans
        ]
        try:
            for plan, futures in zip(plans, waiting, strict=True):
                answers = [future.result() for future in futures]
                with opened(run.path) as store:
                    yield _finish_row(plan, answers, store, run)
                    store.commit()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    with opened(run.path) as store:
        store.drop_unused_lists()
        store.commit()


def _question(
    row: DistroRow,
    source: SuiteSource,
    records: dict[tuple[str, str], SuiteRecord],
    known_lists: frozenset[str],
    run: _Run,
    patient: Http,
    other: Http,
) -> Question:
    archive = row.archive(source.archive)
    accepted = (*archive.accept_stale, *run.options.accept_stale)
    return Question(
        row=row,
        archive=archive,
        source=source,
        previous=records.get((source.archive, source.suite)),
        known_lists=known_lists,
        now=run.now,
        http=other if archive.archived and not source.named else patient,
        accept_stale=source.suite in accepted or "all" in run.options.accept_stale,
    )


def _ask(question: Question, run: _Run) -> _Answered:
    """In a thread of its own: nothing is written here."""
    try:
        fetched = family_of(question.row.family).fetch(question)
        return _Answered(question.source, question.previous, fetched, None)
    except (ConfigError, DownloadError, IntegrityError) as error:
        # A key or a tool that is missing for one distribution keeps no other from being asked.
        logger.info("%s", error.message)
        return _Answered(question.source, question.previous, None, error)
    finally:
        run.report(question.subject)


def _finish_row(plan: RowPlan, answers: Sequence[_Answered], store: Store, run: _Run) -> RowResult:
    row = plan.row
    states = _states(plan, answers)
    records = [_record_of(answer) for answer in answers]
    read: dict[str, tuple[BinaryPackage, ...]] = {}
    for answer in answers:
        if answer.fetched is not None:
            read |= answer.fetched.lists
            for list_id, packages in answer.fetched.lists.items():
                store.put_packages(list_id, packages)
            if answer.fetched.record != answer.previous:
                store.put_record(row.id, answer.fetched.record)
    index = RowIndex(row.id, run.now.isoformat(timespec="seconds"), states, ())
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    if _nothing_changed(answers, row, store):
        store.put_states(index, seen=run.today)
    elif any(record is not None for record in records) or store.count(row.id):
        suites = [_suite(record, read, store) for record in records if record is not None]
        new, gone = _write_kernels(row, index, suites, store, run)
    else:
        store.put_states(index)
    return RowResult(
        index=index,
        kernels=store.count(row.id),
        new=new,
        gone=gone,
        bytes_read=tuple(_bytes_read(answers)),
        seconds=time.monotonic() - run.started,
        errors=tuple(
            answer.error
            for answer, state in zip(answers, states, strict=False)
            if answer.error is not None and state.outcome == "failed"
        ),
    )


def _bytes_read(answers: Sequence[_Answered]) -> Iterator[tuple[tuple[str, str], int]]:
    for answer in answers:
        key = (answer.source.archive, answer.source.suite)
        yield key, answer.fetched.bytes_read if answer.fetched is not None else 0


def _record_of(answer: _Answered) -> SuiteRecord | None:
    """The state to go by: the new one, else the last good one."""
    return answer.fetched.record if answer.fetched is not None else answer.previous


def _nothing_changed(answers: Sequence[_Answered], row: DistroRow, store: Store) -> bool:
    """Whether every suite that ever gave something says that it is as it was."""
    held = [answer for answer in answers if _record_of(answer) is not None]
    unchanged = all(answer.fetched is not None and answer.fetched.outcome == "unchanged" for answer in held)
    return bool(held) and unchanged and store.count(row.id) > 0


def _suite(record: SuiteRecord, read: dict[str, tuple[BinaryPackage, ...]], store: Store) -> Suite:
    lists = (read[list_id] if list_id in read else store.packages(list_id) for _, list_id in record.lists)
    return Suite(record, tuple(package for packages in lists for package in packages))


def _write_kernels(
    row: DistroRow, index: RowIndex, suites: Sequence[Suite], store: Store, run: _Run
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Put the row's kernels together and write them. Returns keys: new ones, and those that are gone since now."""
    known = store.kernels(releases=[row.id])
    kernels = merge_kernels(known, family_of(row.family).kernels(row, suites), today=run.today)
    store.put_row(dataclasses.replace(index, kernels=kernels))
    before = {kernel.key: kernel for kernel in known}
    new = tuple(kernel.key for kernel in kernels if kernel.key not in before)
    gone = tuple(kernel.key for kernel in kernels if kernel.gone and not before[kernel.key].gone)
    return new, gone


def _states(plan: RowPlan, answers: Sequence[_Answered]) -> tuple[SuiteState, ...]:
    """Of what was asked, then of what was skipped. What may be out of reach is skipped where it is, unless the user
    named this release or a mirror for it and nothing else of it answered."""
    answered = any(answer.fetched is not None for answer in answers)
    carried = {answer.source.archive for answer in answers if answer.fetched is not None}
    states = []
    for answer in answers:
        source, record = answer.source, _record_of(answer)
        held = (record.date, record.checked, record.stale, " ".join(record.without)) if record else ("", "", "", "")
        if answer.error is None:
            assert answer.fetched is not None
            states.append(SuiteState(source.suite, source.archive, answer.fetched.outcome, "", *held))
            continue
        # A mirror that was named must have something of its archive; of an optional one not everything.
        named = source.named and not (source.archive in carried and _is_absent(plan.row, answer))
        must = named or (plan.named and not answered)
        outcome = "skipped" if not must and _may_be_missing(plan.row, answer) else "failed"
        states.append(SuiteState(source.suite, source.archive, outcome, answer.error.message, *held))
    skipped = (SuiteState(skip.suite, skip.archive, "skipped", skip.reason) for skip in plan.skips)
    return (*states, *skipped)


def _may_be_missing(row: DistroRow, answer: _Answered) -> bool:
    archive = row.archive(answer.source.archive)
    absent = _is_absent(row, answer)
    unreached = isinstance(answer.error, TransientError) and not answer.error.reached
    return (absent and (archive.optional or archive.archived)) or (unreached and archive.archived)


def _is_absent(row: DistroRow, answer: _Answered) -> bool:
    # To a client with credentials 403 says: not among what yours are good for.
    statuses = (403, 404, 410) if row.archive(answer.source.archive).credentials else (404, 410)
    return isinstance(answer.error, StatusError) and answer.error.status in statuses
