"""Makes the outcome of a plan and the line in the metrics from an exchange that has ended."""

from anchorline.gateway import labels
from anchorline.gateway.exchange import Exchange
from anchorline.gateway.metrics import FinishedRequest, hit
from anchorline.gateway.usage import Meter
from anchorline.outcome import Outcome
from anchorline.plan import CachePlan, Plan
from anchorline.prompt.model import Prompt
from anchorline.route.pricing import BROKEN_OFF, UNTOLD, Bill, Pricing, Unpriced
from anchorline.route.target import Targets


def outcome_of(plan: Plan, exchange: Exchange, meter: Meter) -> Outcome:
    """Returns the outcome of the plan that was made for an exchange; `meter` has read its answer."""
    billed = meter.billed
    signals: dict[str, bool | int | float] = {"status": exchange.status}
    if exchange.planned is not None:
        signals["changes"] = len(exchange.planned.changed.splices)
    if billed.miss:
        signals |= {f"miss_{billed.miss}": True, "missed_tokens": billed.missed}
    if meter.broken_off and exchange.ok:
        signals["broken_off"] = True
    if exchange.first_byte_s is not None:
        signals["first_byte_ms"] = round(exchange.first_byte_s * 1000, 3)
    return Outcome(
        plan_id=plan.id,
        target=billed.model or None,
        usage=billed.usage,
        latency_ms=round(exchange.seconds * 1000, 3),
        signals=signals,
        sent_at=exchange.at,
        answer_id=billed.id or None,
        request_id=exchange.request_id or None,
    )


def finished(
    exchange: Exchange,
    prompt: Prompt,
    plan: Plan,
    cache: CachePlan,
    model: str,
    outcome: Outcome,
    pricing: Pricing,
    targets: Targets,
) -> FinishedRequest:
    """Returns the line of an exchange that was sent to `model`; `cache` is what was to be expected of the cache."""
    bill = _bill(exchange, model, outcome, pricing)
    return FinishedRequest(
        at=exchange.at,
        model=targets.find(model).id,
        status=exchange.status,
        seconds=exchange.seconds,
        first_byte=exchange.first_byte_s,
        usage=outcome.usage,
        p_hit=cache.p_hit,
        hit=hit(outcome.usage, cache, plan.tokens.estimate),
        miss=exchange.meter.billed.miss if exchange.meter is not None else "",
        usd=bill.usd if isinstance(bill, Bill) else None,
        saved_usd=bill.saved if isinstance(bill, Bill) else None,
        changes=len(exchange.planned.changed.splices) if exchange.planned else 0,
        unpriced=str(bill) if isinstance(bill, Unpriced) else "",
        client=labels.client(exchange.sender.client),
        session=labels.session(prompt),
        project=labels.project(prompt),
    )


def _bill(exchange: Exchange, model: str, outcome: Outcome, pricing: Pricing) -> Bill | Unpriced | None:
    """Returns what a request was billed by the model that answered; None where it was not."""
    if outcome.usage is None:
        if not exchange.ok or exchange.meter is None:
            return None
        return BROKEN_OFF if exchange.meter.broken_off else UNTOLD
    return pricing.bill(outcome.usage, outcome.target or model, exchange.at)
