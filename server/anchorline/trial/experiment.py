"""The stages of an experiment (shadow, A/B, promoted, rolled back), and which policy decides about a session.

A `Contest` sets a challenger against what decides now. In shadow the challenger decides as well and changes nothing; in
A/B it decides about a share of the sessions; promoted, about all but a few, so that what it replaced can still be
compared with it. Sessions fall to a side by a keyed hash: always to the same one, on every path to the provider, and
with a probability that is known and logged (the propensity). All of it is pure: `store/experiments.py` writes it down.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

HEURISTIC = "heuristic"
"""The policy that always exists."""
SHARE = 0.5
"""Of the sessions that a challenger decides about in an A/B: equal shares need the fewest sessions."""
PROMOTED_SHARE = 0.9
"""Of the sessions that a promoted policy decides about."""

ContestStage = Literal["shadow", "ab", "promoted"]
AssignedArm = Literal["challenger", "champion", "default"]
VersionId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]


class Contest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version (the challenger) against another one or the heuristic (the champion).

    `share` of the sessions are the challenger's, by a hash with `key`. `since` is when the stage began, epoch seconds.
    """

    id: VersionId
    challenger: VersionId
    champion: VersionId
    stage: ContestStage
    share: Annotated[float, Meta(gt=0, le=1)]
    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    since: float


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in force: the promoted versions, each in the place of the one before, and the trial that runs."""

    promoted: Annotated[tuple[Contest, ...], Meta(max_length=64)] = ()
    trial: Contest | None = None
    schema: Literal[1] = 1

    @property
    def champion(self) -> str:
        """The policy that decides outside of a trial."""
        return self.promoted[-1].challenger if self.promoted else HEURISTIC

    @property
    def contest(self) -> Contest | None:
        """What assigns sessions now."""
        return self.trial or (self.promoted[-1] if self.promoted else None)

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that decide somewhere now, as far as they are not the heuristic."""
        contest = self.contest
        policies = (self.champion, contest.champion, contest.challenger) if contest is not None else ()
        return tuple(policy for policy in dict.fromkeys(policies) if policy != HEURISTIC)


class Assignment(msgspec.Struct, frozen=True):
    """Who decides about a session, on which side of which contest, and how probable that was."""

    version: str
    arm: AssignedArm = "default"
    propensity: float = 1.0
    experiment: str | None = None


class NotPossibleError(ValueError):
    """A step that can't be taken now; the message says why, and what can."""


def assign(standing: Standing, session: str | None) -> Assignment:
    """Says who decides about a session. What has no session takes no part in an A/B: it could not be kept together."""
    contest = standing.contest
    if contest is None:
        return Assignment(HEURISTIC)
    if contest.stage == "shadow":
        return Assignment(contest.champion, "champion", 1.0, contest.id)
    if session is None:
        return Assignment(standing.champion)
    if _uniform(contest, session) < contest.share:
        return Assignment(contest.challenger, "challenger", contest.share, contest.id)
    return Assignment(contest.champion, "champion", round(1 - contest.share, 12), contest.id)


def _uniform(contest: Contest, session: str) -> float:
    """Returns a number from 0 to below 1 that the session and the contest's key fix."""
    text = session.encode("utf-8", "surrogatepass")
    hashed = blake2b(text, key=bytes.fromhex(contest.key), digest_size=7).digest()
    return (int.from_bytes(hashed) >> 3) / (1 << 53)


def started(standing: Standing, contest: Contest) -> Standing:
    """Begins a trial. Raises NotPossibleError where one runs, or the challenger decides already."""
    if standing.trial is not None:
        raise NotPossibleError(
            f"{standing.trial.challenger} is on trial already: `anchorline experiment stop` ends that"
        )
    if contest.challenger == standing.champion:
        raise NotPossibleError(f"{contest.challenger} decides already")
    return msgspec.structs.replace(standing, trial=contest)


def advanced(standing: Standing, now: float) -> Standing:
    """Lets a trial go on from shadow to A/B. Raises NotPossibleError where none is in shadow."""
    trial = standing.trial
    if trial is None or trial.stage != "shadow":
        raise NotPossibleError("no experiment is in its shadow stage")
    return msgspec.structs.replace(
        standing, trial=msgspec.structs.replace(trial, stage="ab", since=now, share=SHARE)
    )


def stopped(standing: Standing) -> Standing:
    """Ends a trial, with nothing changed. Raises NotPossibleError where there is none."""
    if standing.trial is None:
        raise NotPossibleError("no experiment is running")
    return msgspec.structs.replace(standing, trial=None)


def promoted(standing: Standing, contest: Contest) -> Standing:
    """Has a version decide from now on. A trial ends. Raises NotPossibleError where it does so already."""
    if contest.challenger == standing.champion:
        raise NotPossibleError(f"{contest.challenger} decides already")
    kept = (former for former in standing.promoted if former.challenger != contest.challenger)
    return Standing(_chained((*kept, contest)))


def rolled_back(standing: Standing, to: str | None = None) -> Standing:
    """Ends a trial where one runs, else goes back to what decided before; or goes back as far as `to`.

    Raises NotPossibleError where there is nothing to go back from, or `to` did not decide before.
    """
    if standing.contest is None:
        raise NotPossibleError("the heuristic decides: there is nothing to go back from")
    if to is None:
        return Standing(standing.promoted if standing.trial is not None else standing.promoted[:-1])
    before = [HEURISTIC, *(contest.challenger for contest in standing.promoted)]
    if to not in before:
        raise NotPossibleError(f"{to} did not decide before; these did: {', '.join(before)}")
    return Standing(standing.promoted[: before.index(to)])


def without(standing: Standing, gone: frozenset[str]) -> Standing:
    """Returns what stays in force once some versions are no more."""
    kept = _chained(contest for contest in standing.promoted if contest.challenger not in gone)
    trial = standing.trial
    if trial is not None and not gone.isdisjoint({trial.challenger, trial.champion}):
        trial = None
    return Standing(kept, trial)


def _chained(contests: Iterable[Contest]) -> tuple[Contest, ...]:
    """Returns contests in which each challenger has replaced the one before it."""
    chain: list[Contest] = []
    for contest in contests:
        champion = chain[-1].challenger if chain else HEURISTIC
        chain.append(msgspec.structs.replace(contest, champion=champion))
    return tuple(chain)
