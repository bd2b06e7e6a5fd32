"""Experiments in the store: what was decided in them, and each step from one policy to another with its reason.

What is in force stands in the registry's file, so that it holds without a database as well; the tables say what
happened. A step holds the registry, then the database: several servers may watch the same experiment, and a purge may
take a version away.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from anchorline import files
from anchorline.route.target import Targets
from anchorline.store import database, outcomes, rows
from anchorline.store.database import StoreError
from anchorline.trial import experiment
from anchorline.trial.evidence import Evidence, Shadowed, TrialRequest, collect
from anchorline.trial.experiment import Contest, ContestStage, Standing
from anchorline.trial.versions import FOLDER, DamagedVersionError, Registry

Name = Literal["started", "advanced", "stopped", "promoted", "rolled back", "removed"]
By = Literal["developer", "monitor", "purge"]

_REQUESTS = """
    SELECT plans.id AS plan, plans.created_at AS at, plans.session, plans.arm, plans.propensity, requests.model AS own,
        plans.target AS planned, requests.tokens, plans.cost_usd AS expected_usd, plans.p_hit,
        plans.failed OR (plans.arm = 'challenger' AND plans.version <> :version) AS failed,
        json_extract(plans.plan, '$.cache.anchors[#-1].ttl') AS ttl
    FROM plans LEFT JOIN requests ON requests.plan = plans.id
    WHERE plans.experiment = :experiment AND plans.created_at >= :since AND plans.arm IN ('champion', 'challenger')
    ORDER BY plans.created_at
"""
_OF_STAGE = "plan IN (SELECT id FROM plans WHERE experiment = :experiment AND created_at >= :since)"
_THUMBS = """
    SELECT feedback.plan, feedback.thumbs FROM feedback JOIN plans ON plans.id = feedback.plan
    WHERE plans.experiment = :experiment AND plans.created_at >= :since ORDER BY feedback.recorded_at
"""
_SHADOWS = """
    SELECT count(*), count(DISTINCT session), coalesce(sum(failed), 0), coalesce(sum(same_model), 0),
        coalesce(sum(same_anchors), 0), coalesce(avg(milliseconds), 0.0)
    FROM shadows WHERE experiment = ?
"""


class Event(msgspec.Struct, frozen=True):
    """One step: `version` was started, promoted, … where `instead_of` decided. `by` says who took it."""

    at: float
    event: Name
    version: str
    instead_of: str
    by: By
    reason: str
    experiment: str | None = None
    stage: ContestStage | None = None
    share: float | None = None


def registry() -> Registry:
    """Returns the registry in the data folder."""
    return Registry(files.data_folder() / FOLDER)


def requests(connection: sqlite3.Connection, contest: Contest) -> list[TrialRequest]:
    """Returns the requests of a contest's stage with what became of each."""
    values = {"experiment": contest.id, "since": contest.since, "version": contest.challenger}
    by_plan = {
        row["plan"]: TrialRequest(
            plan=row["plan"],
            at=row["at"],
            session=row["session"],
            arm=row["arm"],
            propensity=row["propensity"],
            own=row["own"] or None,
            planned=row["planned"],
            tokens=row["tokens"] or 0,
            expected_usd=row["expected_usd"],
            p_hit=row["p_hit"],
            failed=bool(row["failed"]),
            ttl=row["ttl"] or "default",
        )
        for row in connection.execute(_REQUESTS, values)
    }
    for plan, recorded in outcomes.read(connection, _OF_STAGE, values).items():
        if plan in by_plan:
            outcome = outcomes.combine(recorded, by_plan[plan].ttl)
            by_plan[plan] = msgspec.structs.replace(
                by_plan[plan],
                answered=outcome.target,
                usage=outcome.usage,
                pings=outcome.pings,
                latency_ms=outcome.latency_ms,
                decision=outcome.decision,
                signals=outcome.signals,
            )
    for plan, thumbs in connection.execute(_THUMBS, values):
        if plan in by_plan:
            by_plan[plan] = msgspec.structs.replace(by_plan[plan], thumbs=thumbs)
    return list(by_plan.values())


def shadowed(connection: sqlite3.Connection, contest: Contest) -> Shadowed:
    """Returns what a contest's challenger decided in shadow."""
    return Shadowed(*connection.execute(_SHADOWS, [contest.id]).fetchone())


def events(connection: sqlite3.Connection) -> list[Event]:
    """Returns all steps, the oldest first."""
    if "policy_events" not in database.tables(connection):
        return []
    records = connection.execute(
        "SELECT at, event, version, instead_of, by, reason, experiment, stage, share FROM policy_events "
        "ORDER BY id"
    )
    return [msgspec.convert(dict(row), Event) for row in records]


def latest(events: list[Event], experiment: str | None) -> Contest | None:
    """Returns the newest experiment, or the one with this id, in its last stage. Its key is not kept."""
    for event in reversed(events):
        begins = event.event in ("started", "advanced", "promoted") and event.experiment and event.stage
        if begins and experiment in (None, event.experiment):
            return Contest(
                event.experiment or "",
                event.version,
                event.instead_of,
                event.stage or "ab",
                event.share or 1.0,
                "0" * 32,
                event.at,
            )
    return None


def ended(events: list[Event], contest: Contest) -> str:
    """Returns how an experiment ended that is over."""
    for event in events:
        over = event.event in ("stopped", "promoted", "rolled back", "removed")
        if over and event.version == contest.challenger and event.at > contest.since:
            return f"{event.event} by the {event.by}: {event.reason}"
    return "over"


def evidence(path: Path, contest: Contest, targets: Targets) -> Evidence:
    """Returns what a contest's stage has shown. Raises StoreError."""
    with database.reading(path) as connection:
        if "shadows" not in database.tables(connection):
            return collect(contest, [], Shadowed(), targets)
        return collect(contest, requests(connection, contest), shadowed(connection, contest), targets)


class Steps:
    """Takes steps: changes what is in force, and writes that down in the database at `path` (None: nowhere)."""

    def __init__(self, registry: Registry, path: Path | None) -> None:
        self.registry = registry
        self.problem: str | None = None
        self._path = path

    def start(self, version: str, stage: ContestStage, share: float, by: By = "developer") -> Standing:
        """Puts a version on trial. Raises NotPossibleError, DamagedVersionError, StoreError, OSError."""

        def step(standing: Standing) -> tuple[Standing, Contest]:
            self.registry.verified(version)
            contest = _contest(version, standing.champion, stage, share)
            return experiment.started(standing, contest), contest

        return self._take("started", step, by, f"begins in {'shadow' if stage == 'shadow' else 'A/B'}")

    def advance(self, contest: Contest, reason: str, by: By = "monitor") -> Standing:
        """Lets a trial go on to A/B, if it is still the one that runs. Raises as `start` does."""

        def step(standing: Standing) -> tuple[Standing, Contest]:
            _check(standing.trial, contest)
            after = experiment.advanced(standing, time.time())
            return after, _running(after.trial)

        return self._take("advanced", step, by, reason)

    def stop(self, by: By = "developer", reason: str = "stopped by hand") -> Standing:
        """Ends the trial. Raises as `start` does."""

        def step(standing: Standing) -> tuple[Standing, Contest]:
            return experiment.stopped(standing), _running(standing.trial)

        return self._take("stopped", step, by, reason)

    def promote(
        self, version: str, share: float, reason: str, by: By = "developer", *, of: Contest | None = None
    ) -> Standing:
        """Has a version decide; `of` is the trial that it has won, which must still run. Raises as `start` does."""

        def step(standing: Standing) -> tuple[Standing, Contest]:
            if of is not None:
                _check(standing.trial, of)
            self.registry.verified(version)
            contest = _contest(version, standing.champion, "promoted", share)
            return experiment.promoted(standing, contest), contest

        return self._take("promoted", step, by, reason)

    def roll_back(
        self, reason: str, by: By = "developer", *, to: str | None = None, of: Contest | None = None
    ) -> Standing:
        """Goes back to what decided before, where `of` is given only if that contest is still in force.

        Raises as `start` does. What is in force but can't be read gives way to the heuristic.
        """

        def step(standing: Standing) -> tuple[Standing, Contest]:
            if of is not None:
                _check(standing.contest, of)
            after = experiment.rolled_back(standing, to)
            return after, msgspec.structs.replace(_running(standing.contest), champion=after.champion)

        return self._take("rolled back", step, by, reason, damaged=Standing())

    def _take(
        self,
        name: Name,
        step: Callable[[Standing], tuple[Standing, Contest]],
        by: By,
        reason: str,
        damaged: Standing | None = None,
    ) -> Standing:
        with self.registry.alone(), self._locked() as put:
            try:
                before = self.registry.standing()
            except DamagedVersionError:
                if damaged is None:
                    raise
                self.registry.put_standing(damaged)
                return damaged
            after, contest = step(before)
            self.registry.put_standing(after)
            put(
                Event(
                    time.time(),
                    name,
                    contest.challenger,
                    contest.champion,
                    by,
                    reason,
                    contest.id,
                    contest.stage,
                    contest.share,
                )
            )
        return after

    @contextmanager
    def _locked(self) -> Iterator[Callable[[Event], None]]:
        """Holds the database's write lock; yields what writes a step down.

        Where the database can't be opened, steps are taken all the same, and `problem` says why the history lacks them.
        """
        try:
            opened = database.open_for_writing(self._path) if self._path is not None else None
        except StoreError as error:
            self.problem, opened = str(error), None
        if opened is None:
            yield lambda _event: None
            return
        db = opened.database
        try:
            with database.writing(db):
                yield lambda event: rows.insert(db, "policy_events", msgspec.structs.asdict(event))
        except sqlite3.Error as error:
            raise StoreError(database.explain(self._path or Path(), error)) from error
        finally:
            database.close(db)


def _contest(version: str, champion: str, stage: ContestStage, share: float) -> Contest:
    now = time.time()
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return Contest(
        f"e-{moment}-{secrets.token_hex(2)}", version, champion, stage, share, secrets.token_hex(16), now
    )


def _running(contest: Contest | None) -> Contest:
    if contest is None:
        raise experiment.NotPossibleError("no experiment is running")
    return contest


def _check(now: Contest | None, meant: Contest) -> None:
    """Refuses a step that another program has taken already."""
    if now is None or (now.id, now.stage) != (meant.id, meant.stage):
        raise experiment.NotPossibleError("this experiment is over already")
