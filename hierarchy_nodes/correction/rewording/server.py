"""A language model behind any OpenAI-compatible server rewords what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchy_nodes.correction.grammar import EXAMPLES
from hierarchy_nodes.correction.rewording.base import Reworded, Rewording, understood
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.vlm.client import ChatClient
from hierarchy_nodes.planner.vlm.model import Request
from hierarchy_nodes.planner.vlm.server import ServerOptions, settings

_PROMPT = """\
A person watches a robot arm at work and calls out: "{text}"
The robot understands only short commands such as:
{examples}
In view: {names}.
Write the one command that does what the person wants, on one line, with a distance only if the \
person named one. If the person does not want anything of the robot, or you are not sure what, \
write: none"""
_NONE = "none"
_MOST_TOKENS = 40


@dataclass(frozen=True)
class ServerRewordingOptions:
    """Which server; what it says must still be understood by the grammar."""

    url: str = param("http://localhost:8000/v1", "Where /chat/completions is")
    model: str = param("", "Name of the model; empty: the first that the server lists")
    api_key_env: str = param("", "Name of the environment variable that holds the API key")
    timeout: float = param(3.0, "For an answer", unit="s", low=0.1, high=60.0)
    confidence: float = param(0.7, "How far its answers are trusted", low=0.0, high=1.0)


class ServerRewording(Rewording):
    """Asks for one command, and takes nothing that is none."""

    Options = ServerRewordingOptions
    options: ServerRewordingOptions

    def __init__(self, options: ServerRewordingOptions) -> None:
        super().__init__(options)
        server = ServerOptions(
            url=options.url,
            model=options.model,
            api_key_env=options.api_key_env,
            timeout=options.timeout,
            read_timeout=options.timeout,
            retries=0,
        )
        self._client = ChatClient(settings(server))

    def reword(self, text: str, names: Sequence[str] = ()) -> Reworded | None:
        prompt = _PROMPT.format(
            text=" ".join(text.split()).replace('"', "'"),
            examples="\n".join(f"- {example}" for example in EXAMPLES),
            names=", ".join(names) or "unknown things",
        )
        answer = self._client.ask(Request("rewording", prompt, None, _MOST_TOKENS))
        command = answer.text.strip().strip("\"'`.-* ")
        if command.casefold() == _NONE or not understood(command):
            return None
        return Reworded(command, self.options.confidence)
