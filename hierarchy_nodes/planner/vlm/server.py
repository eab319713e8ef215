"""Planner backend ``openai``: a vision-language model behind any OpenAI-compatible server."""

from __future__ import annotations

import json
import logging
import os
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.vlm.backend import VlmPlanner
from hierarchy_nodes.planner.vlm.client import ChatClient, ServerSettings
from hierarchy_nodes.planner.vlm.options import VlmOptions

LOG = logging.getLogger(__name__)
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServerOptions(VlmOptions):
    """Which server, and how patient to be with it."""

    url: str = param(
        "http://localhost:8000/v1",
        "Where /chat/completions is: most servers have it below /v1, HAMSTER's at the root",
    )
    model: str = param("", "Name of the model; empty: the first that the server lists")
    api_key_env: str = param("", "Name of the environment variable that holds the API key")
    robot: str = param("", "Who asks, told to the server; empty: this host's name")
    structured: str = param(
        "auto",
        "Have the server hold the model to JSON: auto tries it and goes on without if refused",
        choices=("auto", "always", "never"),
    )
    connect_timeout: float = param(3.0, "To reach the server", unit="s", low=0.05, high=60.0)
    read_timeout: float = param(
        30.0, "Silence of the server before trying again", unit="s", low=0.05, high=600.0
    )
    timeout: float = param(
        30.0, "For an answer, with all attempts and pauses", unit="s", low=0.1, high=600.0
    )
    retries: int = param(
        2, "Further attempts after busy, failed or cut connections", low=0, high=10
    )
    backoff: float = param(
        0.5, "First pause between attempts; each is twice as long", unit="s", low=0.01, high=30.0
    )
    backoff_most: float = param(8.0, "Longest such pause", unit="s", low=0.01, high=120.0)
    extra_body: str = param(
        "", 'JSON object of further fields for each request, such as {"top_p": 0.9}'
    )


class ServerPlanner(VlmPlanner):
    """See the module."""

    Options = ServerOptions
    options: ServerOptions

    def __init__(self, options: ServerOptions) -> None:
        super().__init__(options, None if options.replay else ChatClient(settings(options)))


def settings(options: ServerOptions) -> ServerSettings:
    """What the client needs, checked.

    Raises:
        ConfigError: The address is none, the key is missing, or extra_body is no JSON object.
    """
    address = urlsplit(options.url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigError(f"url: '{options.url}' is not http://host:port/path or https://...")
    if address.username or address.password:
        raise ConfigError("url: it holds a password; name an environment variable in api_key_env.")
    key = _key(options.api_key_env)
    if key and address.scheme == "http" and address.hostname not in LOCAL:
        LOG.warning("The API key goes to %s unencrypted: use https.", options.url)
    return ServerSettings(
        url=options.url,
        model=options.model,
        key=key,
        robot=options.robot or socket.gethostname(),
        structured=options.structured,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        timeout=options.timeout,
        retries=options.retries,
        backoff=options.backoff,
        backoff_most=options.backoff_most,
        extra=_extra(options.extra_body),
    )


def _key(name: str) -> str:
    if not name:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"api_key_env: the environment variable '{name}' is not set or empty.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"api_key_env: what '{name}' holds cannot be a key.")
    return key


def _extra(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        extra = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"extra_body: '{text}' is not valid JSON: {error}.") from error
    if not isinstance(extra, dict):
        raise ConfigError(f"extra_body: '{text}' is not a JSON object.")
    return extra
