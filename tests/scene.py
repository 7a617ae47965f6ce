"""Chatwoot, a model and the service, connected: where acceptance tests take place."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.records import Conversation
from chatwoot_bot.simulator.server import Simulator

BOT_TOKEN = "bot-token"
NOWHERE = "http://127.0.0.1:9/"
FENCE = "Anybody else?"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a test sees and moves."""

    chatwoot: Simulator
    model: ModelStandIn
    service: Service

    @property
    def url(self) -> str:
        """Where Chatwoot sends its deliveries."""
        return f"{self.service.url}/webhook/chatwoot"

    async def answered(self, text: str = "Hi", **how) -> int:
        """Have a contact ask and get an answer; return the conversation's number."""
        said = await self.chatwoot.contact_says(text, **how)
        await self.chatwoot.wait_for_replies(said.conversation_id, 1)
        await self.chatwoot.settled()
        return said.conversation_id

    async def asks(self, cid: int, text: str) -> str:
        """Have the contact ask again; return the answer."""
        said = len(self.answers(cid))
        await self.chatwoot.contact_says(text, conversation=cid)
        await self.chatwoot.wait_for_replies(cid, said + 1)
        await self.chatwoot.settled()
        return self.answers(cid)[said]

    async def ignores(self, cid: int, text: str) -> bool:
        """Have the contact write; return whether the bot takes no notice."""
        await self.chatwoot.contact_says(text, conversation=cid)
        await self.quiet()
        return text not in self.asked() and f"Answer to: {text}" not in self.answers(
            cid
        )

    async def handed_over(self, text: str = "A human, please") -> int:
        """Have a contact ask for a human and the bot call one."""
        said = await self.chatwoot.contact_says(text)
        await self.chatwoot.until(
            lambda: self.chatwoot.notes(said.conversation_id), timeout=5
        )
        await self.chatwoot.settled()
        return said.conversation_id

    async def quiet(self) -> None:
        """Wait until the service has done all that it will do.

        It cannot be seen to do nothing, but somebody who asks later is answered later.
        """
        await self.chatwoot.settled()
        await self.answered(FENCE)

    async def human_mode(self, cid: int) -> bool:
        """Return whether the service takes the conversation for a human's."""
        async with httpx.AsyncClient(headers=self.service.agent) as client:
            answer = await client.get(
                f"{self.service.url}/human-status", params={"conversation_id": cid}
            )
        return answer.json()["human_mode"]

    def conversation(self, cid: int) -> Conversation:
        """Return what Chatwoot has stored of it."""
        return self.chatwoot.world.conversations[cid]

    def answers(self, cid: int) -> list[str | None]:
        """Return what the bot has said in public."""
        return [reply.content for reply in self.chatwoot.replies(cid)]

    def asked(self) -> list[str]:
        """Return the last words that the model was asked about, by request."""
        lines = [_last_words(request["messages"]) for request in self.model.requests]
        return [line for line in lines if line not in ("", FENCE)]

    def shown(self, text: str) -> list[str]:
        """Return the lines that the model saw when it was asked about *text*."""
        [request] = [
            request
            for request in self.model.requests
            if _last_words(request["messages"]) == text
        ]
        return [line["content"] for line in request["messages"][1:]]

    def verdicts(self, cid: int, event: str) -> list[str]:
        """Return what the service made of each delivery: a route or a reason."""
        bodies = [
            json.loads(attempt.body)
            for attempt in self.chatwoot.delivery_log
            if (attempt.conversation_id, attempt.event) == (cid, event) and attempt.body
        ]
        keys = ("route", "reason", "status")
        return [next(body[key] for key in keys if key in body) for body in bodies]


def _last_words(messages) -> str:
    """Return what the contact said last; nothing when a summary is asked for."""
    if messages[0]["content"].startswith("Summarize"):
        return ""
    return [line["content"] for line in messages if line["role"] == "user"][-1]


class Installation:
    """A running service, and the addresses at which it expects Chatwoot and a model.

    Starting it takes longer than most stories, so many share one. Each has a Chatwoot
    and a model of its own, with an inbox, conversations and messages that the service
    has not seen before.
    """

    def __init__(self, folder, **settings) -> None:
        self._chatwoot, self._model = free_port(), free_port()
        self._scenes = 0
        self.service = Service(
            folder,
            CHATWOOT_BASE_URL=f"http://127.0.0.1:{self._chatwoot}",
            CHATWOOT_API_TOKEN=BOT_TOKEN,
            CHATWOOT_ALLOW_UNSIGNED="true",
            CHATWOOT_ACCOUNT_ID=1,
            OPENAI_BASE_URL=f"http://127.0.0.1:{self._model}/v1",
            OPENAI_API_KEY="k",
            **settings,
        )

    @asynccontextmanager
    async def scene(self, *, model=None, **options) -> AsyncIterator[Scene]:
        """Begin a story.

        Args:
            model: options of the model.
            options: those of the simulated Chatwoot.
        """
        self._scenes += 1
        async with (
            ModelStandIn(port=self._model, **model or {}) as stand_in,
            Simulator(
                webhook_url=f"{self.service.url}/webhook/chatwoot",
                bot_token=BOT_TOKEN,
                port=self._chatwoot,
                inbox_id=100 + self._scenes,
                first_conversation=1000 * self._scenes,
                first_message=100_000 * self._scenes,
                **options,
            ) as chatwoot,
        ):
            yield Scene(chatwoot, stand_in, self.service)
            assert not leaked(chatwoot, self.service)


def leaked(chatwoot: Simulator, service: Service) -> list[str]:
    """Return what contacts have said, or are called, that the service has logged."""
    said = [
        message.content
        for conversation in chatwoot.world.conversations.values()
        for message in conversation.messages
        if message.message_type == "incoming" and message.content
    ]
    contacts = [c.contact for c in chatwoot.world.conversations.values()]
    known = [each for c in contacts for each in (c.name, c.email, c.phone_number)]
    output = service.output
    # "Hi" stands in many a word.
    return [
        text for text in (*said, *known) if text and len(text) > 8 and text in output
    ]


@contextmanager
def installed(folder, **settings) -> Iterator[Installation]:
    """Start a service with *settings*; its database lies in *folder*."""
    installation = Installation(folder, **settings)
    with installation.service:
        yield installation


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def add_webhook(here: Scene, events) -> None:
    """Register the bot's own URL as an account webhook too."""
    here.chatwoot.world.office.add_webhook(here.url, tuple(events), secret="")
