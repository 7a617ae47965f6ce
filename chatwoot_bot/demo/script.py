"""What the demo answers: it does with rules what a model does with a prompt.

It answers everything that waits for an answer at once, greets and says that it is a
demo once, looks questions up, books calls, and calls a person where one is needed.
"""

import re
from collections.abc import Sequence

from ..core.conversation import Conversation, Message, Sender
from ..core.phrases import holds_any
from ..language import wishes
from ..tools.toolbox import Toolbox
from .calls import call_talk
from .quoting import quote, quotes_shop
from .shop import LANGUAGE, pebblewick
from .talk import COMPLAINT, LOOKED_AT, NAME, name_told, received, small_talk
from .using import Said, offers
from .words import Words, all_words

COMPLAINS = "The contact complains, which a person should answer: “{text}”"
ASKS = "The contact asks for a person: “{text}”"
INVITATION = "What would you like to know?"
KNOWN = "They are about: {titles}."
TOPICS = ("Delivery times", "Returns")
BOOK = "Book a call"
MOST_QUESTIONS = 3
QUOTED = 200
WORD = re.compile(r"\w+")
QUESTION = re.compile(r"[?\uff1f\u061f]|\b(?:\w++\W++){3}\w")


class Script:
    """One turn of the demo.

    Args:
        bot: how the bot introduces itself.
        language: ISO 639-1, of the conversation.
        toolbox: what the bot may do besides speaking; None for nothing.
    """

    def __init__(
        self,
        bot: str,
        language: str,
        transcript: Sequence[Message],
        conversation: Conversation,
        toolbox: Toolbox | None,
    ) -> None:
        self._bot = bot
        self._words: Words = all_words()[language]
        self._is_english = language == LANGUAGE
        self._transcript = transcript
        self._toolbox = toolbox
        self._in_shop = quotes_shop(toolbox)
        self._said = [m for m in transcript if m.sender is Sender.CONTACT and m.content]
        self._owed = [m for m in self._said if m.owed] or self._said[-1:]
        self._texts = [(m.content or "")[:LOOKED_AT] for m in self._owed]
        self._is_first = not any(m.sender is Sender.BOT for m in transcript)
        self._name = name_told(self._said)
        self._contact_name = self._name or conversation.contact_name

    @property
    def person(self) -> str:
        """Return the quick reply that asks for a person."""
        return self._words.person

    @property
    def needs_person(self) -> str:
        """Return why a person has to be called, for the agents; "" for no reason."""
        for text in self._texts:
            quoted = " ".join(text.split())[:QUOTED]
            if COMPLAINT.search(text):
                return COMPLAINS.format(text=quoted)
            # The operator's own keywords may be others than the quick reply's words.
            if wishes().asks(text):
                return ASKS.format(text=quoted)
        return ""

    async def reply(self) -> Said:
        """Return the answer to everything that waits for one."""
        call = await call_talk(self._transcript, self._toolbox, self._contact_name)
        said = await self._answers() if call is None else call
        body = [part for part in (received(self._owed), said.text) if part]
        opening, options = self._opening(), said.options
        if not body and (self._is_first or not opening):
            body, options = [self._invitation()], self._topics()
        if self._is_first and options is None:
            options = self._topics()
        return Said("\n\n".join(filter(None, (opening, *body))), options)

    def _opening(self) -> str:
        """Return the greeting; in the first answer with what this is."""
        name = f", {self._name}" if self._name else ""
        ours = self._words
        if self._is_first:
            what = ours.shop if self._in_shop else ours.own
            english = ours.english if self._in_shop else ""
            hello = ours.hello.format(name=name, bot=self._bot)
            return " ".join(filter(None, (hello, what, english)))
        if any(holds_any(text, ours.greetings) for text in self._texts):
            return ours.again.format(name=name)
        if self._name and name_told(self._owed):
            return f"Nice to meet you, {self._name}."
        return ""

    def _invitation(self) -> str:
        return INVITATION if self._is_english else self._words.offer

    def _topics(self) -> tuple[str, ...]:
        """Return what may be asked next."""
        topics = TOPICS if self._in_shop else ()
        books = offers(self._toolbox, "book_a_call")
        return (*topics, BOOK) if books else topics

    async def _answers(self) -> Said:
        """Return the answers to all texts; that there is none only if all lack one."""
        parts: dict[str, None] = {}
        is_missing = False
        for text in self._texts[-MOST_QUESTIONS:]:
            courtesies = [*small_talk(text, self._bot), *self._courtesies(text)]
            parts |= dict.fromkeys(courtesies)
            text = NAME.sub(" ", text)
            if not self._may_ask(text, is_settled=bool(courtesies)):
                continue
            if found := await quote(text, self._toolbox):
                source = f"{self._words.source}: {found.source}"
                parts[f"{found.text}\n\n{source}"] = None
            elif not courtesies:
                is_missing = is_missing or self._asks(text)
        if is_missing and not parts:
            return Said(self._nothing(), self._topics())
        return Said("\n\n".join(parts))

    def _courtesies(self, text: str) -> list[str]:
        ours = self._words
        pairs = ((ours.thanks, ours.welcome), (ours.goodbyes, ours.goodbye))
        return [answer for phrases, answer in pairs if holds_any(text, phrases)]

    def _may_ask(self, text: str, *, is_settled: bool) -> bool:
        """Return whether *text* is worth a search.

        Args:
            is_settled: it has its answer, unless it asks for more.
        """
        ours = self._words
        courteous = " ".join((*ours.greetings, *ours.thanks, *ours.goodbyes)).split()
        rest = [word for word in WORD.findall(text.casefold()) if word not in courteous]
        return QUESTION.search(text) is not None if is_settled else bool(rest)

    def _asks(self, text: str) -> bool:
        """Return whether *text* is certainly a question, and no mere courtesy."""
        if name_told(self._owed):
            return "?" in text
        greets = holds_any(text, self._words.greetings)
        return not greets or QUESTION.search(text) is not None

    def _nothing(self) -> str:
        """Say that no document answers, and that there is a person."""
        parts = [self._words.nothing]
        if self._in_shop and self._is_english:
            titles = (one.title for one in pebblewick().documents)
            parts.append(KNOWN.format(titles=", ".join(titles)))
        return " ".join([*parts, self._words.offer])
