"""The words by which a draft shows what it wants. English."""

import re
from typing import Literal

Intent = Literal["ask", "edit", "fix", "test", "explain", "review", "plan", "other"]


_LEAD = (
    r"(?:\A|[.!?:;,\n]|\band\b|\bthen\b)[\s*\-#>\d.)]*(?:(?:ok(?:ay)?|yes|yup|yeah|now|also|first|next"
    r"|so|please|then|just|and"
    r"|let'?s|let\u2019s|go ahead and|(?:can|could|would|will) (?:you|we)|i (?:want|need"
    r"|would like)(?: you)? to"
    r"|we (?:need|want|should)(?: to)?|help me(?: to)?|try to|you should|you must|your task is to),? )*"
)
_TESTS = r"\b[^.\n]{0,40}\b(?:unit |regression )?tests?\b"
_VERBS: dict[Intent, str] = {
    "test": rf"(?:test\b|(?:write|add|create|generate|make|need|extend|implement){_TESTS}|cover\b)",
    "fix": r"(?:fix|debug|repair|resolve|solve|correct|troubleshoot|patch|get rid of)\b",
    "explain": r"(?:explain|describe|summari[sz]e|clarify|walk me through|tell me|show me how"
    r"|help me understand|what (?:does|is|are|do)\b|how (?:does|do|is)\b|why\b)",
    "review": r"(?:(?:code )?review|audit|critique|inspect|assess|evaluate|check|validate|verify"
    r"|look (?:over|at))\b",
    "plan": r"(?:plan|design|propose|outline|brainstorm|research|investigate|draft a plan|think about"
    r"|come up with|suggest)\b",
    "edit": r"(?:add|implement|change|update|rename|refactor|rewrite|remove|delete|drop|create|write"
    r"|build|move|replace|convert|migrate|make|use|put|set|extract|simplify|optimi[sz]e|improve|clean|split"
    r"|merge|port|revert|undo|apply|extend|introduce|insert|append|allow|support|handle|ensure|address"
    r"|complete|finish|generate|format|document|upgrade|downgrade|install|configure|enable|disable|reduce"
    r"|increase|consolidate|adjust|return|given)\b",
}
_VERB = "|".join([f"(?P<{intent}>{pattern})" for intent, pattern in _VERBS.items()])
INTENTS = re.compile(f"{_LEAD}(?:{_VERB})", re.IGNORECASE)
"""The first verb of any intent where an instruction can begin; the group is the intent."""
BROKEN = re.compile(
    r"\b(?:does(?:n['\u2019]?t| not) work|is(?:n['\u2019]?t| not) working|(?:is|are) broken|crash(?:es"
    r"|ed|ing)?|fail(?:s|ed|ing)\b"
    r"|throws?|bugs?\b|regression)",
    re.IGNORECASE,
)
"""A complaint: something fails or is broken."""
ASKS = re.compile(
    r"\s*(?:so |and |but |ok,? |uhh?,? )*(?:what|why|how|which|who|where|when|is|are|do|does|did|can"
    r"|could|should|would|will"
    r"|has|have|any)\b",
    re.IGNORECASE,
)
"""The beginning of a question."""
SYMPTOM = re.compile(
    r"\b(?:because|since|when|whenever|if|after|instead|expect\w*|should|must|need\w* to|so that|but"
    r"|fail\w*|crash\w*|throw\w*|rais\w+"
    r"|return\w*|show\w*|miss\w+|wrong\w*|broken|break\w*|hang\w*|slow\w*|leak\w*|duplicat\w+|race"
    r"|deadlock|timeout|typos?"
    r"|warning\w*|lint\w*|inconsisten\w+|incorrect\w*|invalid|not|never|n['\u2019]t|no longer|still"
    r"|only|twice|by|to use"
    r"|formatting|spelling|indentation|imports?|todos?|types?|comments?|names?|naming|conflicts?)\b",
    re.IGNORECASE,
)
"""Words that tell what goes wrong, or what should happen instead."""
DEICTIC = re.compile(
    r"\b(?:this|that|it|these|those)\b(?=\s*(?:[.!?]|\Z|,|\n|(?:please|now|asap|again|too|for me|so"
    r"|to be|to make"
    r"|properly|better|faster|cleaner|shorter|simpler)\b))",
    re.IGNORECASE,
)
""""this" or "it" as the object of a short request, with nothing after that names the thing."""
GENERIC = re.compile(
    r"\A\s*(?:please |ok,? |now |let'?s |(?:can|could) (?:you|we) )*(?:(?:please|just|also) )?"
    r"(?:fix|debug|resolve|solve|refactor|optimi[sz]e|improve|clean up|simplify|speed up|update|change"
    r"|rewrite|add|write|create)"
    r"(?: (?:all|some|more|better|the|a|an|my|our|any))*"
    r"(?: (?:bugs?|issues?|errors?|problems?|code|function|method|class|file|module|test|tests"
    r"|unit tests?|performance"
    r"|error handling|logging|comments|docs|documentation|docstrings?|type hints|types|typing"
    r"|validation|query|component))?"
    r"(?: (?:please|now|asap))?\s*[.!?]*\s*\Z",
    re.IGNORECASE,
)
"""A request in which the thing to work on is only a category ("the bug", "error handling")."""
VAGUE = re.compile(
    r"\b(?:better|nicer|properly|somehow|something|stuff|things?|etc|and so on|as needed"
    r"|appropriate(?:ly)?|clean(?:er)?"
    r"|good|some(?:where)?|various)\b",
    re.IGNORECASE,
)
"""Words that say too little."""
