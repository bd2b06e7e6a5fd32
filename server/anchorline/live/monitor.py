"""Takes the next step of an experiment once its evidence asks for it, in whichever server sees that first."""

import logging

from anchorline.config import Config
from anchorline.route.target import load as load_targets
from anchorline.store import database, experiments
from anchorline.store.database import StoreError
from anchorline.trial.evidence import Evidence
from anchorline.trial.experiment import PROMOTED_SHARE, Contest, NotPossibleError
from anchorline.trial.versions import DamagedVersionError

log = logging.getLogger(__name__)


def look(contest: Contest, config: Config) -> str | None:
    """Takes the step that the evidence asks for, if any; returns what to tell the developer.

    Another server may be faster: then nothing is done here.
    """
    path = database.locate(config.store.path)
    steps = experiments.Steps(experiments.registry(), path)
    try:
        evidence = experiments.evidence(path, contest, load_targets(config.files))
        return _act(steps, contest, evidence)
    except NotPossibleError:
        return None
    except (StoreError, DamagedVersionError, OSError) as error:
        log.warning("an experiment can't be looked after: %s", type(error).__name__)
        return None


def _act(steps: experiments.Steps, contest: Contest, evidence: Evidence) -> str | None:
    step, reason = evidence.verdict.step, evidence.verdict.reason
    who = contest.challenger
    if step == "advance":
        steps.advance(contest, reason)
        return f"{who} goes on from shadow to an A/B test: it decides in some of the new sessions ({reason})."
    if step == "promote":
        steps.promote(who, PROMOTED_SHARE, reason, "monitor", of=contest)
        return f"{who} is promoted: {reason}. `anchorline rollback` takes that back."
    if step == "roll_back":
        steps.roll_back(reason, "monitor", of=contest)
        return f"{who} is rolled back, {contest.champion} decides: {reason}."
    return None
