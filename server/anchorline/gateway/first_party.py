"""Decides whether Claude Code may take the gateway for Anthropic's own API."""

from urllib.parse import urlsplit

from anchorline.config import Config

HOST = "api.anthropic.com"


def refusal(config: Config) -> str:
    """Returns why Claude Code can't take the gateway for Anthropic's own address; empty where it can.

    It may where Anthropic's API gets each byte as the client sent it: the attribution line of such requests is reported
    to attest the body, so a changed one may be refused or billed otherwise.
    """
    upstream = urlsplit(config.gateway.anthropic)
    if (upstream.scheme, upstream.hostname) != ("https", HOST):
        return f"requests go on to {config.gateway.anthropic}, which is not Anthropic's own API"
    if config.gateway.mode != "observe":
        return f"in mode {config.gateway.mode} requests are changed on the way; it takes mode observe"
    return ""
