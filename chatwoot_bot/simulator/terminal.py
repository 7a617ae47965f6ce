"""Lines that people type, or keep in a file, as acts in the simulated Chatwoot.

    Do you ship to Norway?          the visitor writes
    /agent Maria here               the agent writes
    /wait                           until the bot has answered
    /expect Norway                  the newest reply must contain this
    /do contact_sends kind=video    any action of the control API, by its name

`HELP` has all commands. A line is one command, so the same words work typed and in a
file that is played.
"""

from collections.abc import Callable
from typing import Any

from .control import act, change_switches
from .records import Message
from .server import Simulator
from .terminal_steps import STEPS, UsageError, parse_pairs, parse_value

__all__ = ["ExpectationError", "Terminal", "UsageError"]

WAIT_S = 30.0
HELP = """\
Type as the visitor, or:
  /new [INBOX]          the next line begins a new conversation
  /use ID               go on in that conversation
  /send KIND [TEXT]     image, audio, video, file, location, contact …
  /reply TEXT           answer the bot's newest message
  /pick N               choose option N of the newest select
  /fill NAME=VALUE …    answer the newest form
  /email ADDRESS        answer the newest e-mail box
  /rate N [TEXT]        answer the survey
  /type on|off          the visitor's typing sign
  /read  /open  /end    read all, open the widget, end the conversation
  /agent TEXT           speak as the human agent; /note TEXT privately
  /phone TEXT           speak as the owner on the paired phone
  /template TEXT        let Chatwoot itself speak; /automation TEXT a rule
  /status STATUS        open, pending, resolved, snoozed; /wake ends a snooze
  /assign [ID|nobody]   to the agent, /bot to the bot, /team ID to a team
  /labels A,B           replace the labels; /priority WORD the priority
  /delete               delete the bot's newest message
  /fail [TEXT]          let the channel refuse it; /window lets the time pass
  /fault NAME=VALUE     such as deliveries.duplicate=0.3, rate_limit=60; /calm ends
  /wait [N]             for N more replies; /expect TEXT in the newest one
  /do ACTION NAME=VALUE …   any other action
  /help  /quit"""


class ExpectationError(Exception):
    """What a script expected did not come."""


class Terminal:
    """Turns lines into acts; remembers which conversation they are about.

    Args:
        sim: Where the acts take place.
        wait_s: How long `/wait` waits.
    """

    def __init__(self, sim: Simulator, *, wait_s: float = WAIT_S) -> None:
        self.sim = sim
        self.current: int | None = None
        self._inbox: int | None = None
        self._answered = 0
        self._wait_s = wait_s

    async def do(self, line: str) -> str:
        """Do what a line says; return what there is to tell about it.

        Raises:
            UsageError: It is no command, or not now.
            ExpectationError: `/wait` or `/expect` was in vain.
            MessageRefusedError: Chatwoot's flood guard.
        """
        try:
            return await self._do(line)
        except (LookupError, TypeError, ValueError) as error:
            raise UsageError(str(error)) from None

    @property
    def conversation(self) -> int:
        """The conversation that commands are about."""
        if self.current is None:
            raise UsageError("Say something as the visitor first.")
        return self.current

    def newest(self, what: str, fits: Callable[[Message], bool]) -> Message:
        """Return the newest message that fits."""
        for message in reversed(self.sim.messages(self.conversation)):
            if fits(message):
                return message
        raise UsageError(f"There is no {what} yet.")

    async def _do(self, line: str) -> str:
        if not line.startswith("/"):
            return await self._say(line)
        command, _, rest = line[1:].partition(" ")
        rest = rest.strip()
        if command in STEPS:
            step = STEPS[command]
            await act(self.sim, step.action, step.arguments(self, rest))
            return ""
        if command in OWN:
            return await OWN[command](self, rest)
        raise UsageError(f"There is no /{command}; /help has all there are.")

    async def _say(self, line: str) -> str:
        said = await self.sim.contact_says(
            line, conversation=self.current, inbox=self._inbox
        )
        self._enter(said.conversation_id)
        return ""

    def _enter(self, conversation: int) -> None:
        if conversation != self.current:
            self.current = conversation
            self._answered = len(self.sim.replies(conversation))

    async def _send(self, rest: str) -> str:
        kind, _, caption = rest.partition(" ")
        sent = await self.sim.contact_sends(
            kind,
            conversation=self.current,
            caption=caption.strip() or None,
            inbox=self._inbox,
        )
        self._enter(sent.conversation_id)
        return ""

    async def _new(self, rest: str) -> str:
        self.current, self._inbox = None, int(rest) if rest else None
        return ""

    async def _use(self, rest: str) -> str:
        self.sim.status(int(rest))
        self._enter(int(rest))
        return ""

    async def _open(self, rest: str) -> str:
        await self.sim.contact_opens_widget(conversation=self.current)
        return ""

    async def _fault(self, rest: str) -> str:
        name, _, value = rest.partition("=")
        values: Any = parse_value(value)
        for part in reversed(name.strip().split(".")):
            values = {part: values}
        change_switches(self.sim.faults, values)
        return ""

    async def _calm(self, rest: str) -> str:
        self.sim.faults.clear()
        return ""

    async def _wait(self, rest: str) -> str:
        wanted = self._answered + int(rest or 1)
        try:
            replies = await self.sim.wait_for_replies(
                self.conversation, wanted, self._wait_s
            )
        except TimeoutError as error:
            raise ExpectationError(str(error)) from None
        self._answered = len(replies)
        return ""

    async def _expect(self, rest: str) -> str:
        replies = self.sim.replies(self.conversation)
        said = (replies[-1].content or "") if replies else ""
        if rest.lower() not in said.lower():
            raise ExpectationError(f"expected {rest!r} in the newest reply: {said!r}")
        return ""

    async def _any(self, rest: str) -> str:
        name, _, pairs = rest.partition(" ")
        arguments = parse_pairs(pairs)
        result = await act(self.sim, name, arguments)
        if isinstance(result, Message):
            self._enter(result.conversation_id)
        return ""

    async def _help(self, rest: str) -> str:
        return HELP


OWN = {
    "new": Terminal._new,
    "use": Terminal._use,
    "send": Terminal._send,
    "open": Terminal._open,
    "fault": Terminal._fault,
    "calm": Terminal._calm,
    "wait": Terminal._wait,
    "expect": Terminal._expect,
    "do": Terminal._any,
    "help": Terminal._help,
}
