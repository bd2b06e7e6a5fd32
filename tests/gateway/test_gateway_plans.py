"""Plan-safe: what is paid by a subscription goes on as it came, in every mode, unless its user has decided otherwise."""

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline import config
from anchorline.cli.main import cli
from anchorline.gateway.credential import credential
from anchorline.gateway.upstream import Upstream as Provider
from support.gateways import FILE, Gateway, call, conversation, gateway, settled
from support.upstream import Running, Upstream

OAUTH = {"authorization": "Bearer sk-ant-oat01-CANARYCANARY", "anthropic_beta": "oauth-2025-04-20"}
LINE = "x-anthropic-billing-header: cc_version=2.1.332.abc; cc_entrypoint=cli; cch=1f2e3;"


def jwt(**claims: object) -> str:
    """Return a token with these claims, signed by nobody."""
    parts = [{"alg": "RS256"}, claims, "signature"]
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


LOGIN = jwt(iss="https://auth.openai.com", **{"https://api.openai.com/auth": {"chatgpt_account_id": "a"}})
ELSEWHERE = jwt(iss="https://sts.windows.net/tenant/", aud="https://cognitiveservices.azure.com")
ATTESTED = json.dumps({"system": [{"type": "text", "text": LINE}], "messages": []}).encode()
MENTIONED = json.dumps({"system": "Say what x-anthropic-billing-header: cch= is.", "messages": []}).encode()


@pytest.mark.parametrize(
    ("name", "base", "headers", "sent", "kind"),
    [
        ("anthropic", "https://api.anthropic.com", {"x-api-key": "sk-ant-api03-a"}, b"", "api key"),
        (
            "anthropic",
            "https://api.anthropic.com",
            {"authorization": "Bearer sk-ant-api03-a"},
            b"",
            "api key",
        ),
        ("anthropic", "https://api.anthropic.com", {"x-api-key": "sk-ant-api03-a"}, ATTESTED, "api key"),
        (
            "anthropic",
            "https://api.anthropic.com",
            {"authorization": "Bearer sk-ant-oat01-a"},
            b"",
            "Claude plan",
        ),
        (
            "anthropic",
            "https://api.anthropic.com",
            {"authorization": "bearer  sk-ant-oat01-a"},
            b"",
            "Claude plan",
        ),
        ("anthropic", "https://api.anthropic.com", {"x-api-key": "sk-ant-oat01-a"}, b"", "Claude plan"),
        (
            "anthropic",
            "https://other.example",
            {"authorization": "Bearer sk-ant-oat01-a"},
            b"",
            "Claude plan",
        ),
        (
            "anthropic",
            "https://api.anthropic.com",
            {"x-api-key": "sk-ant-api03-a", "authorization": "Bearer sk-ant-oat01-a"},
            b"",
            "Claude plan",
        ),
        (
            "anthropic",
            "https://api.anthropic.com",
            {"authorization": "Bearer opaque", "anthropic-beta": "claude-code-20250219,oauth-2025-04-20"},
            b"",
            "Claude plan",
        ),
        (
            "anthropic",
            "https://api.anthropic.com",
            {"authorization": "Bearer opaque"},
            ATTESTED,
            "Claude plan",
        ),
        ("anthropic", "https://gateway.example", {"authorization": "Bearer opaque"}, MENTIONED, "other"),
        ("anthropic", "https://gateway.example", {"authorization": f"Bearer {ELSEWHERE}"}, b"", "other"),
        (
            "anthropic",
            "https://gateway.example",
            {"authorization": "AWS4-HMAC-SHA256 Credential=a"},
            b"",
            "other",
        ),
        ("openai", "https://api.openai.com", {"authorization": "Bearer sk-proj-a"}, b"", "api key"),
        ("openai", "https://openrouter.ai/api", {"authorization": "Bearer sk-or-v1-a"}, b"", "api key"),
        ("openai", "https://api.openai.com", {"authorization": f"Bearer {LOGIN}"}, b"", "ChatGPT login"),
        (
            "openai",
            "https://api.openai.com",
            {"authorization": f"Bearer {jwt(sub='a')}"},
            b"",
            "ChatGPT login",
        ),
        ("openai", "https://api.openai.com", {"authorization": "Bearer eyJ.no.claims"}, b"", "ChatGPT login"),
        (
            "openai",
            "https://relay.example",
            {"authorization": "Bearer opaque", "chatgpt-account-id": "a"},
            b"",
            "ChatGPT login",
        ),
        (
            "openai",
            "https://chatgpt.com/backend-api/codex",
            {"authorization": "Bearer x"},
            b"",
            "ChatGPT login",
        ),
        ("openai", "https://a.openai.azure.com", {"authorization": f"Bearer {ELSEWHERE}"}, b"", "other"),
        ("openai", "https://a.openai.azure.com", {"api-key": "0123"}, b"", "other"),
        ("openai", "http://127.0.0.1:11434", {}, b"", "none"),
        ("anthropic", "http://127.0.0.1:8080", {}, ATTESTED, "none"),
    ],
)
def test_a_credential_is_known_by_its_kind(
    name: str, base: str, headers: dict[str, str], sent: bytes, kind: str
):
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    assert credential(Provider(name, base), raw, sent) == kind


def test_chatgpt_s_backend_is_asked_without_a_version():
    backend = Provider("openai", "https://chatgpt.com/backend-api/codex")
    for path in ("/v1/responses", "/responses"):
        assert str(backend.url(path)) == "https://chatgpt.com/backend-api/codex/responses"
    assert (
        str(Provider("openai", "https://api.openai.com").url("/v1/a%2Fb?c"))
        == "https://api.openai.com/v1/a%2Fb?c"
    )


def test_the_gateway_s_own_key_is_what_counts():
    client = [(b"authorization", b"Bearer sk-ant-oat01-a"), (b"anthropic-beta", b"oauth-2025-04-20")]
    assert credential(Provider("anthropic", "https://a.example", "sk-ant-api03-b"), client) == "api key"
    assert credential(Provider("anthropic", "https://a.example", "sk-ant-oat01-b"), client) == "Claude plan"


def asked() -> bytes:
    """Return a request that every mode would change: no breakpoints, results that repeat, a model that is too good."""
    messages: list[object] = [{"role": "user", "content": "Rename the values"}]
    for n in (1, 2):
        use = {"type": "tool_use", "id": f"toolu_{n}", "name": "read", "input": {"path": "a.py"}}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": FILE}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return conversation(messages=messages, model="claude-opus-5-5")


def settings(mode: str, further: str = "") -> str:
    return f'mode = "{mode}"\n{further}\n[route]\nsuccess_usd = 0.0\nallow = ["claude-haiku-5-5"]'


def examined(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Return what `doctor` says of the gateway that Claude Code is connected to: how grave, and whether of a plan."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home))
    assert CliRunner().invoke(cli, ["connect", "claude-code", "--write"]).exit_code == 0
    checks = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).stdout)["checks"]
    return [
        (one["status"], "on a Claude plan" in one["message"]) for one in checks if one["name"] == "gateway"
    ]


@pytest.mark.parametrize("mode", ["anchors", "trim", "route"])
def test_on_a_plan_nothing_is_changed_in_any_mode(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with (
        Running(Upstream()) as behind,
        gateway(tmp_path / "g", behind.url, settings=settings(mode)) as running,
    ):
        url = running.anthropic + "/v1/messages"
        for _ in range(2):
            status, told, _ = call(url, body=asked(), **OAUTH)
            assert status == 200
            assert behind.app.seen[-1].body == asked()
            assert not {"anchorline-plan", "anchorline-route"} & dict(told).keys()
            assert "on a Claude plan" in dict(told)["anchorline-unchanged"]
            assert "gateway.plans" in dict(told)["anchorline-unchanged"]
        # A key beside it is changed as ever.
        _, told, _ = call(url, body=asked(), x_api_key="sk-ant-api03-a")
        assert "anchorline-plan" in dict(told)
        assert behind.app.seen[-1].body != asked()

        state = settled(running, 3)
        assert (state["mode"], state["plans"]) == (mode, "observe")
        assert state["credentials"] == {"Claude plan": 2, "api key": 1}
        ((what, requests),) = [(one["what"], one["requests"]) for one in state["held"]]
        assert ("Claude plan" in what, requests) == (True, 2)
        assert [one["model"] for one in state["last"]][:2] == ["claude-opus-5-5"] * 2

        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(running.home / "data"))
        (tmp_path / "own.toml").write_text(f"[gateway]\nport = {running.port}\n")
        monkeypatch.setenv("ANCHORLINE_CONFIG", str(tmp_path / "own.toml"))
        shown = " ".join(CliRunner().invoke(cli, ["top", "--once"]).output.split())
        assert "requests on a Claude plan (2)" in shown
        assert ("warning", True) in examined(tmp_path, monkeypatch)

        running.stop()
        assert running.log(running.home).count("on a Claude plan") == 1
        with closing(sqlite3.connect(running.database)) as database:
            assert database.execute("SELECT count(*) FROM outcomes WHERE known").fetchone() == (3,)
        for file in running.home.rglob("*"):
            assert not file.is_file() or b"CANARY" not in file.read_bytes(), "no credential is kept"


@pytest.mark.parametrize("mode", ["anchors", "trim", "route"])
def test_a_user_may_have_plans_changed(mode: str, tmp_path: Path):
    further = settings(mode, 'plans = "change"')
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=further) as running:
        _, told, _ = call(running.anthropic + "/v1/messages", body=asked(), **OAUTH)
        assert "anchorline-plan" in dict(told)
        assert ("anchorline-route" in dict(told)) == (mode == "route")
        assert behind.app.seen[-1].body != asked()
        assert settled(running, 1)["held"] == []


def test_in_observe_a_plan_s_answers_are_the_provider_s_and_it_is_known(tmp_path: Path):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        direct = call(behind.url + "/v1/messages", body=conversation("Another"), **OAUTH)
        _, told, answer = call(running.anthropic + "/v1/messages", body=conversation("Again"), **OAUTH)
        assert [name for name, _ in told] == [name for name, _ in direct[1]]
        assert behind.app.seen[-1].body == conversation("Again")
        assert answer
        state = settled(running, 1)
        assert state["credentials"] == {"Claude plan": 1}
        assert state["held"][0]["requests"] == 1


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_a_chatgpt_login_is_only_observed(path: str, tmp_path: Path):
    messages = {"input" if path == "/responses" else "messages": [{"role": "user", "content": FILE}]}
    sent = json.dumps({"model": "gpt-5.6-terra", **messages}).encode()
    with (
        Running(Upstream()) as behind,
        gateway(tmp_path / "g", behind.url, settings=settings("anchors")) as running,
    ):
        headers = {"authorization": f"Bearer {LOGIN}", "chatgpt_account_id": "a"}
        _, told, _ = call(running.openai + path, body=sent, **headers)
        assert "on a ChatGPT login" in dict(told)["anchorline-unchanged"]
        assert behind.app.seen[-1].body == sent
        _, told, _ = call(running.openai + path, body=sent, authorization="Bearer sk-proj-a")
        assert "on a" not in dict(told).get("anchorline-unchanged", "")


def again(running: Gateway, behind: Running, **headers: str) -> int:
    """Return how often the provider was asked for the same thing twice."""
    before = len(behind.app.seen)
    sent = conversation("Same", temperature=0)
    for _ in range(2):
        assert call(running.anthropic + "/v1/messages", body=sent, **headers)[0] == 200
    return len(behind.app.seen) - before


def test_on_a_plan_no_answer_is_given_again(tmp_path: Path):
    further = '[answers]\nreuse = "exact"'
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=further) as running:
        assert again(running, behind, x_api_key="sk-ant-api03-a") == 1
        assert again(running, behind, **OAUTH) == 2
        assert again(running, behind, anchorline_cache="on", **OAUTH) == 2


def test_a_project_can_t_have_plans_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(tmp_path / "own.toml"))
    (tmp_path / "anchorline.toml").write_text('[gateway]\nplans = "change"\n')
    loaded = config.load(tmp_path)
    assert loaded.config.gateway.plans == "observe"
    assert [problem.key for problem in loaded.problems] == ["gateway.plans"]
