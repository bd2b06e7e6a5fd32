"""Follows the registry's file: which policy decides in a running server.

Planning reads one attribute. Whether the file was replaced is asked every `WATCH_S` from a thread, and a network is
loaded there; then the new policies take the place of the old at once. What can't be loaded is decided by the heuristic,
and each plan says why. Where outcomes were recorded, the same thread asks whether an experiment is to go on, end, or
be taken back.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable

import msgspec

from anchorline.cache.gaps import Moment
from anchorline.cache.hits import Return
from anchorline.config import Config
from anchorline.live import monitor
from anchorline.plan import Plan, Policy
from anchorline.planner import Decider
from anchorline.store.experiments import registry
from anchorline.trial.experiment import HEURISTIC, Standing, assign
from anchorline.trial.versions import DamagedVersionError, Registry

WATCH_S = 2.0
"""How often the file is looked at: a few microseconds each."""
LOAD = 0.02
"""The share of a core that looking after an experiment may take."""
DAMAGED = "standing"
"""The problem that nobody knows what is in force."""
log = logging.getLogger(__name__)

Signature = tuple[int, int, int] | None


class InForce(msgspec.Struct, frozen=True):
    """What decides now. `deciders` are the networks by version, `problems` says why others can't decide."""

    standing: Standing
    heuristic: Decider
    deciders: dict[str, Decider]
    problems: dict[str, str]

    def of(self, conversation: str | None) -> Decider:
        """Returns who decides about a conversation, with the side and its probability in the policy."""
        assigned = assign(self.standing, conversation)
        decider = self.deciders.get(assigned.version, self.heuristic)
        own = decider.policy
        policy = Policy(own.name, own.version, assigned.arm, assigned.propensity, assigned.experiment)
        if decider is self.heuristic and assigned.version != HEURISTIC:
            policy = Policy(reason=self.problems[assigned.version])  # and no part of the experiment
        elif DAMAGED in self.problems:
            policy = Policy(reason=self.problems[DAMAGED])
        return msgspec.structs.replace(decider, policy=policy)

    @property
    def note(self) -> str:
        """What is on trial, and what can't decide and why; empty where there is nothing to say."""
        trial = self.standing.trial
        words = [f"{trial.challenger} is on trial ({trial.stage})"] if trial is not None else []
        return "; ".join([*words, *self.problems.values()])

    def shadow(self, plan: Plan) -> Decider | None:
        """Returns who decides in shadow about what `plan` was made for."""
        trial = self.standing.trial
        if trial is None or trial.stage != "shadow" or plan.policy.experiment != trial.id:
            return None
        return self.deciders.get(trial.challenger)


class Policies:
    """The policies of a server. `changed` is called on the event loop once others decide, `report` tells the developer.

    `of` and `shadow` may be called in any thread, everything else on the event loop.
    """

    def __init__(self, report: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._report = report
        self._changed = changed
        self._config = Config()
        self._in_force: InForce | None = None
        self._signature: Signature = None
        self._following: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self._news = False
        self._look_at = 0.0

    def of(self, conversation: str | None) -> Decider:
        """Returns who decides about a conversation: the heuristic until the file was read."""
        now = self._in_force
        if now is None:
            return Decider()
        return now.of(conversation)

    def shadow(self, plan: Plan) -> Decider | None:
        """Returns who decides in shadow about what `plan` was made for."""
        return self._in_force.shadow(plan) if self._in_force is not None else None

    @property
    def state(self) -> tuple[Policy, str]:
        """What decides outside of experiments, and in a few words what else is to be known."""
        now = self._in_force
        if now is None:
            return Policy(), ""
        return now.deciders.get(now.standing.champion, now.heuristic).policy, now.note

    def apply(self, config: Config) -> None:
        """Follows the registry's file, and looks after experiments in the store that the settings name."""
        self._config = config
        if self._following is None:
            self._following = asyncio.ensure_future(self._follow())

    async def loaded(self) -> None:
        """Returns once the file was read."""
        await self._loaded.wait()

    def noted(self) -> None:
        """Notes that an outcome was recorded."""
        self._news = True

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("the policies can't be followed")
            self._loaded.set()
            await asyncio.sleep(WATCH_S)

    async def _look(self) -> None:
        replacement = await asyncio.to_thread(_replaced, self._signature, self._in_force is None)
        if replacement is not None:
            self._signature, in_force = replacement
            before, self._in_force = self._in_force, in_force
            for problem in in_force.problems.values():
                self._report(f"Anchorline decides by its heuristic: {problem}")
            if before is None or before.standing != in_force.standing:
                self._changed()
        contest = self._in_force.standing.contest if self._in_force is not None else None
        if (
            self._news
            and contest is not None
            and self._config.store.enabled
            and time.monotonic() >= self._look_at
        ):
            self._news = False
            begun = time.monotonic()
            done = await asyncio.to_thread(monitor.look, contest, self._config)
            self._look_at = time.monotonic() + (time.monotonic() - begun) / LOAD
            if done is not None:
                self._report(f"Anchorline: {done}")
                await self._look()

    async def end(self) -> None:
        """Follows no more."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait([following])


def _replaced(signature: Signature, first: bool) -> tuple[Signature, InForce] | None:
    """Returns what is in force now, if the file is another one than before."""
    policy_registry = registry()
    try:
        status = os.stat(policy_registry.standing_file)  # noqa: PTH116  (its identity is what counts)
        now: Signature = (status.st_ino, status.st_mtime_ns, status.st_size)
    except OSError:
        now = None
    return (now, read(policy_registry)) if first or now != signature else None


def read(registry: Registry) -> InForce:
    """Loads what is in force. Never raises: what can't be loaded is among the problems."""
    problems: dict[str, str] = {}
    try:
        standing = registry.standing()
    except DamagedVersionError as error:
        standing, problems = Standing(), {DAMAGED: str(error)}
    deciders = {}
    for version in standing.versions:
        try:
            deciders[version] = network(registry, version)
        except DamagedVersionError as error:
            problems[version] = str(error)
        except Exception as error:  # noqa: BLE001  (fail open: whatever is wrong with a network, plans go on)
            log.warning("version %s can't be loaded: %s", version, type(error).__name__)
            problems[version] = f"{version} can't be loaded ({type(error).__name__})"
    return InForce(standing, Decider(), deciders, problems)


def network(registry: Registry, version: str) -> Decider:
    """Loads a version, and have it decide once, which must not fail. Raises DamagedVersionError."""
    # numpy and the networks take three times as long to import as all else here: only where one decides.
    from anchorline.learn import policy  # noqa: PLC0415
    from anchorline.learn.network import NetworkError  # noqa: PLC0415

    folder = registry.verified(version)
    try:
        heads = policy.load(folder)
        heads.gaps.after(Moment("user", 1000))
        heads.quality.features("Fix it.", in_session=False)
        heads.hits.probability(Return("5m", 60.0, 300.0), Moment("user", 1000))
    except NetworkError as error:
        raise DamagedVersionError(f"{version} can't be used: {error}") from error
    return Decider(Policy("network", version), heads.gaps, heads.quality, heads.hits)
