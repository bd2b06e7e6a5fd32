"""Finds secrets in text, and masks them before the text is kept.

`RULES` is one table of (name, pattern, example). Finding goes in two steps. First a few literals and one
expression say where a secret could stand: text without one costs little. Only there the rules are tried.

Patterns are bounded and possessive and each rule starts at a fixed mark, so the work is linear in the text
whatever it holds. The forms follow the providers' own documentation and the rules of gitleaks and GitHub's
secret scanning.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec


class Secret(msgspec.Struct, frozen=True, order=True):
    """One secret: the characters `start:end` of the text, and the name of its rule."""

    start: int
    end: int
    name: str


class SecretRule(msgspec.Struct, frozen=True):
    """One kind of secret.

    `pattern` matches at one of `heads` (literals), and its group ``secret``, or all of it, is what is masked.
    A rule with `key` has no heads: it matches at a ``:`` or ``=`` that follows the key. `before` is what of the secret
    stands before its head. `sure` has the last
    word, for shapes that harmless text has too. `example` is made up, in pieces, so that no scanner of
    repositories takes this file for a leak.
    """

    name: str
    pattern: re.Pattern[str]
    example: str
    heads: tuple[str, ...] = ()
    key: re.Pattern[str] | None = None
    before: re.Pattern[str] | None = None
    sure: Callable[[re.Match[str]], bool] | None = None


def _sample(length: int, alphabet: str = "q7Rt2Zk9Xb4Wm6Lc1Vp8Hn3Jd5Fg") -> str:
    return (alphabet * (length // len(alphabet) + 1))[:length]


_PLACEHOLDER = re.compile(
    r"(?i)(?:your|<|\$|\{|%|x{3}|\*{3}|\.{3}|example|sample|dummy|change[_-]?me|placeholder|process\.|os\."
    r"|env[.\[(]|none\b|null\b|true\b|false\b|undefined\b|redacted|(?:pass(?:word|wd)?|pwd|secret|token|key)$)"
)
_SIMPLE_PASSWORDS = frozenset({"pass", "password", "passwd", "pwd", "secret", "pw", "user", "admin", "guest"})


def _entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _kinds(text: str) -> int:
    return (
        any(c.islower() for c in text)
        + any(c.isupper() for c in text)
        + any(c.isdigit() for c in text)
        + any(not c.isalnum() for c in text)
    )


def _mixed(match: re.Match[str]) -> bool:
    """Tells a token from a hyphenated name: it has digits and letters and hardly repeats itself."""
    value = match[0]
    return any(c.isdigit() for c in value) and _kinds(value) >= 3 and _entropy(value) >= 3.5


def _random(match: re.Match[str]) -> bool:
    """Tells a token from the name of a function or a test: it has letters and digits and hardly repeats itself."""
    value = match[0]
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and _entropy(value) >= 3.0


def _assigned(match: re.Match[str]) -> bool:
    """Tells an assigned secret from a placeholder, a type, a call or a name."""
    value = match["secret"]
    if _PLACEHOLDER.match(value):
        return False
    digit = any(c.isdigit() for c in value)
    if match["quote"]:
        symbol = any(not (c.isalnum() or c in "_-.:/@ ") for c in value)
        return (digit or symbol) and _kinds(value) >= 2 and _entropy(value) >= 2.75
    return digit and any(c.isalpha() for c in value) and _entropy(value) >= 3.0


def _bearer(match: re.Match[str]) -> bool:
    value = match["secret"]
    return not _PLACEHOLDER.match(value) and any(c.isdigit() for c in value) and _entropy(value) >= 3.0


def _password(match: re.Match[str]) -> bool:
    value = match["secret"]
    return value.lower() not in _SIMPLE_PASSWORDS and not _PLACEHOLDER.match(value)


def _rule(
    name: str,
    pattern: str,
    *example: str,
    heads: tuple[str, ...] = (),
    key: str | None = None,
    before: str | None = None,
    sure: Callable[[re.Match[str]], bool] | None = None,
) -> SecretRule:
    compiled = re.compile(rf"(?i:{key})[\"'`\]\s\\\\]{{0,3}}\Z") if key else None
    begins = re.compile(rf"{before}\Z") if before else None
    return SecretRule(name, re.compile(pattern), "".join(example), heads, compiled, begins, sure)


_APART = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[a-z])|(?<=%[0-9A-Fa-f]{2}))"
r"""What must stand before a form that words may end in: no letter or digit,
or one that is part of a literal ``\n`` or ``%22``."""
_RIGHT = r"(?![A-Za-z0-9_-])"
_PEM_BODY = r"(?:[A-Za-z0-9+/=\s\\:,.]|-(?!-)){64,16000}+"

RULES = (
    _rule(
        "anthropic-key",
        r"sk-ant-[A-Za-z0-9_-]{16,256}+",
        *("sk-", "ant-", "api03-", _sample(93)),
        heads=("sk-",),
    ),
    _rule(
        "openai-key",
        r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,256}+",
        *("sk-", "proj-", _sample(64)),
        heads=("sk-",),
    ),
    _rule(
        "openrouter-key",
        r"sk-or-v1-[a-f0-9]{32,128}+",
        "sk-",
        "or-v1-",
        "0a1b2c3d" * 8,
        heads=("sk-",),
    ),
    _rule(
        "openai-legacy-key",
        r"sk-[A-Za-z0-9]{32,256}+|" + _APART + r"sk-[A-Za-z0-9_-]{20,256}+",
        *("sk-", _sample(48)),
        heads=("sk-",),
        sure=_mixed,
    ),
    _rule(
        "github-token",
        r"gh[pousr]_[A-Za-z0-9]{30,255}+",
        *("gh", "p_", _sample(36)),
        heads=("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        sure=_random,
    ),
    _rule(
        "github-fine-grained-token",
        r"github_pat_[A-Za-z0-9_]{40,255}+",
        *("github_", "pat_", _sample(22), "_", _sample(59)),
        heads=("github_",),
    ),
    _rule(
        "gitlab-token",
        r"glpat-[A-Za-z0-9_-]{20,128}+",
        "glpat",
        "-",
        _sample(20),
        heads=("glpat-",),
        sure=_random,
    ),
    _rule(
        "aws-access-key-id",
        r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])",
        *("AK", "IA", _sample(16, "Q7RT2ZK4XB6W")),
        heads=("AKIA", "ASIA"),
    ),
    _rule(
        "aws-secret-access-key",
        r"""[:=][=>]?\s{0,4}["'`]?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])""",
        *("AWS_SECRET_ACCESS_KEY=", _sample(20), "/", _sample(18), "+"),
        key=r"secret[_-]?access[_-]?key",
    ),
    _rule(
        "google-api-key",
        r"AIza[A-Za-z0-9_-]{35}" + _RIGHT,
        *("AI", "za", _sample(35)),
        heads=("AIza",),
    ),
    _rule(
        "google-oauth-secret",
        r"GOCSPX-[A-Za-z0-9_-]{24,64}+",
        *("GOCSPX", "-", _sample(28)),
        heads=("GOCSPX-",),
    ),
    _rule(
        "slack-token",
        r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,255}+",
        *("xox", "b-", "123456789012-", _sample(24)),
        heads=("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"),
        sure=_random,
    ),
    _rule(
        "slack-webhook",
        r"hooks\.slack\.com/services/T[A-Za-z0-9]{6,16}+/B[A-Za-z0-9]{6,16}+/[A-Za-z0-9]{16,48}+",
        *("hooks.", "slack.com/services/", "T0Q7RT2ZK/B4XW6MLC1/", _sample(24)),
        heads=("hooks.slack.com",),
    ),
    _rule(
        "stripe-key",
        r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,255}+",
        *("sk", "_live_", _sample(24)),
        heads=("sk_", "rk_", "pk_"),
        sure=_random,
    ),
    _rule(
        "stripe-webhook-secret",
        r"whsec_[A-Za-z0-9+/=]{24,128}+",
        *("whsec", "_", _sample(32)),
        heads=("whsec_",),
    ),
    _rule(
        "npm-token", r"npm_[A-Za-z0-9]{36}" + _RIGHT, "npm", "_", _sample(36), heads=("npm_",), sure=_random
    ),
    _rule(
        "pypi-token",
        r"pypi-AgE[A-Za-z0-9_-]{50,1000}+",
        *("pypi", "-AgE", "IcHlwaS5vcmc", _sample(120)),
        heads=("pypi-",),
    ),
    _rule(
        "hugging-face-token", r"hf_[A-Za-z0-9]{30,64}+", "hf", "_", _sample(34), heads=("hf_",), sure=_random
    ),
    _rule("groq-key", r"gsk_[A-Za-z0-9]{40,128}+", "gsk", "_", _sample(52), heads=("gsk_",), sure=_random),
    _rule("xai-key", r"xai-[A-Za-z0-9_-]{60,128}+", "xai", "-", _sample(80), heads=("xai-",), sure=_random),
    # The documented beginning of a vendor's tokens says enough; what follows is random.
    *(
        _rule(f"{vendor}-token", rf"{re.escape(head)}{rest}", head, example, heads=(head,), sure=_random)
        for vendor, head, rest, example in (
            ("age", "AGE-SECRET-KEY-1", r"[A-Z0-9]{50,64}+", _sample(58, "Q7RT2ZK9XB4W")),
            ("cerebras", "csk-", r"[A-Za-z0-9]{40,128}+", _sample(48)),
            ("databricks", "dapi", r"[a-f0-9]{32}(?![A-Za-z0-9])", "0a1b2c3d" * 4),
            ("digitalocean", "dop_v1_", r"[a-f0-9]{64}", "0a1b2c3d" * 8),
            ("doppler", "dp.pt.", r"[A-Za-z0-9]{40,64}+", _sample(43)),
            ("fireworks", "fw_", r"[A-Za-z0-9]{22,64}+", _sample(24)),
            ("fly", "FlyV1 fm", r"[12][a-z]?_[A-Za-z0-9+/=,_-]{40,2000}+", "2_" + _sample(100)),
            ("google-oauth", "ya29.", r"[A-Za-z0-9_-]{20,1000}+", _sample(80)),
            ("heroku", "HRKU-", r"[A-Za-z0-9_-]{30,80}+", _sample(36)),
            ("linear", "lin_api_", r"[A-Za-z0-9]{32,64}+", _sample(40)),
            ("new-relic", "NRAK-", r"[A-Z0-9]{27}", _sample(27, "Q7RT2ZK9XB4W")),
            ("notion", "ntn_", r"[A-Za-z0-9]{40,64}+", _sample(46)),
            ("perplexity", "pplx-", r"[A-Za-z0-9]{40,64}+", _sample(48)),
            ("planetscale", "pscale_tkn_", r"[A-Za-z0-9_-]{32,64}+", _sample(43)),
            ("postman", "PMAK-", r"[a-f0-9]{24}-[a-f0-9]{34}", "0a1b2c3d" * 3 + "-" + "0a1b2c3d" * 4 + "4e"),
            ("replicate", "r8_", r"[A-Za-z0-9]{30,64}+", _sample(37)),
            (
                "sendgrid",
                "SG.",
                r"[A-Za-z0-9_-]{16,32}+\.[A-Za-z0-9_-]{16,64}+",
                _sample(22) + "." + _sample(43),
            ),
            ("shopify", "shpat_", r"[a-fA-F0-9]{32}", "0a1b2c3d" * 4),
            ("terraform", ".atlasv1.", r"[A-Za-z0-9_-]{40,80}+", _sample(60)),
            ("twilio", "SK", r"[a-f0-9]{32}(?![A-Za-z0-9])", "0a1b2c3d" * 4),
            ("vault", "hvs.", r"[A-Za-z0-9_-]{20,200}+", _sample(90)),
            ("voyage", "pa-", r"[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", _sample(43)),
        )
    ),
    _rule(
        "mailgun-token",
        r"(?:(?<![A-Za-z-])|(?<=\\[a-z])|(?<=%[0-9A-Fa-f]{2}))key-[a-f0-9]{32}(?![A-Za-z0-9-])",
        *("key", "-", "0a1b2c3d" * 4),
        heads=("key-",),
    ),
    _rule(
        "discord-token",  # its first part is the base64 of a number, whose first digit is one of these
        r"[MNO][A-Za-z0-9]{23,27}+\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}+",
        *("MT", _sample(22), ".", _sample(6), ".", _sample(38)),
        heads=("MT", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT"),
        sure=_random,
    ),
    _rule(
        "telegram-token",
        r":AA[A-Za-z0-9_-]{33}" + _RIGHT,
        *("7204918", "365:", "AA", _sample(33)),
        heads=(":AA",),
        before=r"[0-9]{8,10}",
        sure=_random,
    ),
    _rule(
        "azure-key",  # of storage, Cosmos DB, Batch and API Management: Microsoft's mark stands in each
        r"(?:APIM|ACDb|\+(?:ABa|AMC|ASt))[A-Za-z0-9+/]{5}[AQgw]==",
        *(_sample(76), "+A", "St", _sample(5), "A=="),
        heads=("APIM", "ACDb", "+ABa", "+AMC", "+ASt"),
        before=r"[A-Za-z0-9+/]{76}",
    ),
    _rule(
        "azure-service-key",  # of service bus, event hubs, relay and IoT
        r"(?:AIoT|\+(?:ASb|AEh|ARm))[A-P][A-Za-z0-9+/]{5}=",
        *(_sample(33), "+A", "Sb", "C", _sample(5), "="),
        heads=("AIoT", "+ASb", "+AEh", "+ARm"),
        before=r"[A-Za-z0-9+/]{33}",
    ),
    _rule(
        "azure-client-secret",
        r"Q~[A-Za-z0-9_~.-]{31,34}+(?![A-Za-z0-9_~-])",
        *("q7R8", "Q~", _sample(34)),
        heads=("Q~",),
        before=r"[A-Za-z0-9_~.-]{3}[0-9]",
        sure=_random,
    ),
    _rule(
        "jwt",
        r"eyJ[A-Za-z0-9_-]{10,4000}+\.eyJ[A-Za-z0-9_-]{10,8000}+\.[A-Za-z0-9_-]{10,2000}+",
        *("eyJ", _sample(24), ".", "eyJ", _sample(48), ".", _sample(43)),
        heads=("eyJ",),
    ),
    _rule(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}+(?<=PRIVATE KEY)(?: BLOCK)?-----"
        + _PEM_BODY
        + r"(?:-----END [A-Z0-9 ]{0,40}+-----)?"
        r"|-----BEGIN PGP PRIVATE KEY BLOCK-----" + _PEM_BODY + r"(?:-----END [A-Z0-9 ]{0,40}+-----)?",
        *("-----BEGIN ", "RSA PRIVATE", " KEY-----\n", _sample(64), "\n", _sample(40), "==\n"),
        *("-----END ", "RSA PRIVATE", " KEY-----"),
        heads=("-----BEGIN",),
    ),
    _rule(
        "authorization-header",
        r"""[:=]\s{0,4}["'`]?(?i:bearer|basic|token)\s{1,4}(?P<secret>[A-Za-z0-9._~+/=-]{12,4000}+)""",
        *("Authorization: ", "Basic ", _sample(32), "=="),
        key=r"authorization",
        sure=_bearer,
    ),
    _rule(
        "bearer-token",
        r"earer\s{1,4}(?P<secret>[A-Za-z0-9._~+/=-]{16,4000}+)",
        *("B", "earer ", _sample(40)),
        heads=("earer ",),
        sure=_bearer,
    ),
    _rule(
        "connection-password",
        r"""://[^\s:/@"'`<>]{0,64}+:(?P<secret>[^\s:/@"'`<>]{3,128}+)@(?=[A-Za-z0-9\[{$])""",
        *("postgresql", "://app:", _sample(12), "@db.example.org/main"),
        key=r"[a-z][a-z0-9+.-]{1,20}+",
        sure=_password,
    ),
    _rule(
        "assigned-secret",
        r"""[:=][=>]?\s{0,4}\\?(?P<quote>["'`]?)(?P<secret>(?:[^\s"'`,;<>(){}\[\]$\\]|\\(?!["'`])){8,256}+)""",
        *("db_pass", 'word = "', _sample(16), '"'),
        key=r"(?:pass(?:word|wd|phrase)?|pwd|secret|(?<!publickey)token|credentials?"
        r"|(?:api|access|private|secret|account|encryption|signing|auth|master|shared|service|client)[_-]?key)",
        sure=_assigned,
    ),
)
"""Every kind of secret, the surer ones first."""

_BY_HEAD: dict[str, tuple[SecretRule, ...]] = {
    head: tuple(rule for rule in RULES if head in rule.heads) for rule in RULES for head in rule.heads
}
_KEYED = tuple(rule for rule in RULES if rule.key)
_SEPARATED = tuple(head for head in _BY_HEAD if head[-1] in "-_" and not head.startswith("-"))
_LITERAL = tuple(head for head in _BY_HEAD if head not in _SEPARATED)

# The last letters of the keys above, then what may stand between a key and its mark.
_KEY_END = "(?i:ord|swd|ase|pwd|ret|ken|key|ass|als|ial|ion)"

# One class of single characters comes first, for which the engine scans quickly; lookbehinds come last.
_MARK = re.compile(
    r"[-_:=](?:(?<=[-_])(?=[A-Za-z0-9_-]{10})(?:"
    + "|".join(f"(?<={re.escape(head)})" for head in _SEPARATED)
    + r""")|(?<=[:=])(?![\n*])(?:(?=//[^\s:/@"'`<>]{0,64}+:[^\s:/@"'`<>])"""
    r"""|(?<=[DNSTYELdnstyel"'`\s\]].)(?=[=>]?\s{0,4}+\\?["'`]?[^\s"'`]{5})"""
    rf"""(?:(?<={_KEY_END}.)|(?<={_KEY_END}["'`\s\]].)|(?<={_KEY_END}["'\]][\]\s].)|(?<={_KEY_END}\\["'].))))"""
)
_KEY_WINDOW = 24  # the longest key and what may follow it
_BEFORE_WINDOW = 76  # the longest part of a secret before its head


def _candidates(text: str) -> Iterator[tuple[int, tuple[SecretRule, ...]]]:
    """Yields where a secret may start, with the rules to try there."""
    for literal in _LITERAL:
        at = text.find(literal)
        while at >= 0:
            yield at, _BY_HEAD[literal]
            at = text.find(literal, at + len(literal))
    for match in _MARK.finditer(text):
        end = match.end()
        if text[end - 1] in ":=":
            yield end - 1, _KEYED
            continue
        for head in _SEPARATED:
            if text.startswith(head, end - len(head)):
                yield end - len(head), _BY_HEAD[head]


def _try(rules: tuple[SecretRule, ...], text: str, at: int) -> Secret | None:
    for rule in rules:
        match = rule.pattern.match(text, at)
        if not match or (rule.key and not rule.key.search(text, max(0, at - _KEY_WINDOW), at)):
            continue
        begin = rule.before and rule.before.search(text, max(0, at - _BEFORE_WINDOW), at)
        if rule.before and not begin:
            continue
        if rule.sure is None or rule.sure(match):
            start, end = match.span("secret" if "secret" in rule.pattern.groupindex else 0)
            start = begin.start() if begin else start
            return Secret(start, end, rule.name)
    return None


def find(text: str) -> list[Secret]:
    """Returns the secrets in `text` in order, none overlapping another."""
    secrets: list[Secret] = []
    done = 0
    last = -1
    for at, rules in _candidates(text):
        if at < last:  # the next kind of mark starts over
            done = 0
        last = at
        if at >= done and (secret := _try(rules, text, at)):
            secrets.append(secret)
            done = secret.end
    if len(secrets) < 2:
        return secrets
    secrets.sort()
    apart = secrets[:1]
    for secret in secrets[1:]:
        before = apart[-1]
        if secret.start >= before.end:
            apart.append(secret)
        elif secret.end > before.end:
            apart[-1] = Secret(before.start, secret.end, before.name)
    return apart


_EXAMPLE_WORDS = re.compile(
    r"(?i)example|placeholder|dummy|sample|(?<![a-z])fake|change[_-]?me|redacted|not[_-]a[_-]real|goes[_-]here|here\b"
    r"|(?:your|my|insert|replace)[_-].{0,24}(?:key|token|secret|password|value)"
    r"|(.)\1{5}|x{4}|\*{3}|\.{3}"
)
_RUN = 6
"""Letters or digits in a row, each the next of the one before, that random keys do not have (weak passwords do)."""
_CHOSEN = frozenset({"assigned-secret", "connection-password"})
"""Kinds that a person may have thought up."""
_PUBLISHED = (
    "4eC39HqLyjWDarjtT1zdp7dc",  # Stripe's documentation
    "BQokikJOvBiI2HlWgH4olfQ2",
    "26PHem9AhJZvU623DfE1x4sd",
    "TYooMQauvdEDq54NiTphI7jx",
    "16C7e42F292c6912E7710c838347Ae178B4a",  # GitHub's documentation
    "17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",  # Slack's documentation
    "23984754863-2348975623103",
    "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",  # Google's documentation
    "ngeVfQFYQlKU0ufo8x5d1A",  # SendGrid's documentation
    "eyJzdWIiOiIxMjM0NTY3ODkwI",  # jwt.io: the subject 1234567890, John Doe
    "QWxhZGRpbjpvcGVu",  # RFC 7617: Aladdin, open sesame
    "dXNlcm5hbWU6cGFzc3dvcmQ",  # username:password
    "2YotnFZFEjr1zCsicMWpAA",  # RFC 6749
    "tGzv3JOkF0XG5Qx2TlKWIA",
    "czZCaGRSa3F0Mzpn",
    "mF_9.B5f-4.1JqM",  # RFC 6750
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",  # Azurite's well-known account
    "mysecretpassword",  # PostgreSQL's image
)
"""Parts of secrets that vendors and standards print as examples, without the beginning that a scanner looks for."""


def example(secret: Secret, text: str) -> bool:
    """Tells whether a secret of `text` is a placeholder or one that documentation prints: nobody's, no reason to warn.

    Text that is kept is redacted all the same: to take an example for a secret does no harm there.
    """
    value = text[secret.start : secret.end]
    if _EXAMPLE_WORDS.search(value) or any(part in value for part in _PUBLISHED):
        return True
    run = 1
    for before, letter in pairwise("" if secret.name in _CHOSEN else value.lower()):
        run = run + 1 if letter.isalnum() and ord(letter) == ord(before) + 1 else 1
        if run >= _RUN:
            return True
    return False


def redact(text: str) -> str:
    """Returns `text` with each secret replaced by ``[redacted: NAME]``."""
    secrets = find(text)
    if not secrets:
        return text
    parts: list[str] = []
    end = 0
    for secret in secrets:
        parts += (text[end : secret.start], f"[redacted: {secret.name}]")
        end = secret.end
    parts.append(text[end:])
    return "".join(parts)
