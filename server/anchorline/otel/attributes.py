"""The names that OpenTelemetry's conventions for generative AI have for what is exported.

Of github.com/open-telemetry/semantic-conventions-genai as of November 2026 (docs/gen-ai/client-inference.md). All of it
is "Development" there, and some names have changed since the general conventions had them last (0.66b2 in Python):
those older ones are exported beside today's, since dashboards go by them.
"""

from anchorline.otel.usage import UsageRecord

Attributes = dict[str, str | int | float]

SCOPE = "anchorline"
CHAT = "chat"
OPERATIONS = {"gcp.gemini": "generate_content"}
"""What a request is called to a provider that has another name for it."""
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION_ID = "gen_ai.conversation.id"
"""A hash, as the database has it. It has the provider's ids of answers as hashes, too: they would name nothing."""
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
"""What `CACHE_WRITE` was called until September 2026."""
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  (the name of an attribute)
"""Of the histogram that the counters of usage have replaced."""
MODALITY = "gen_ai.token.modality"
COST = "anchorline.cost.usd"
UNCACHED_COST = "anchorline.cost.uncached_usd"
HOUR_WRITES = "anchorline.usage.cache_write_1h.input_tokens"
PROJECT = "anchorline.project"
BRANCH = "anchorline.branch"


def operation(record: UsageRecord) -> str:
    """Returns what the conventions call a request to its provider."""
    return OPERATIONS.get(record.provider, CHAT)


def shared(record: UsageRecord) -> Attributes:
    """Returns what spans and metrics have in common: few values each."""
    attributes: Attributes = {
        OPERATION_NAME: operation(record),
        PROVIDER_NAME: record.provider,
        REQUEST_MODEL: record.model,
    }
    if record.agent is not None:
        attributes[AGENT_NAME] = record.agent
    return attributes


def of_span(record: UsageRecord) -> Attributes:
    """Returns all that is told of a request."""
    tokens, bill = record.tokens, record.bill
    attributes = shared(record) | {
        INPUT_TOKENS: tokens.prompt,  # with those of the cache, as the conventions have it
        OUTPUT_TOKENS: tokens.output,
        CACHE_READ: tokens.read,
        CACHE_WRITE: tokens.written,
        CACHE_CREATION: tokens.written,
        HOUR_WRITES: tokens.long,
    }
    if bill is not None:
        attributes |= {COST: bill.usd, UNCACHED_COST: bill.uncached}
    optional = {
        CONVERSATION_ID: record.conversation,
        FIRST_CHUNK: record.first,
        PROJECT: record.place.project,
        BRANCH: record.place.branch,
    }
    return attributes | {name: value for name, value in optional.items() if value is not None}
