"""What of a model's text is its answer to the contact. Pure.

Servers without a parser for their model pass on what it thinks, the calls of tools that
it writes, and the marks of its own format. None of that is the answer:

    <think>They are annoyed.</think>It costs 12 euros.   ->  It costs 12 euros.
    {"name": "escalate_to_human", "arguments": {}}       ->  a call, and no answer

A call that stands behind words, marked or on lines of its own, counts if the tool is
offered.

A text is read as it comes. What may still become a thought or a call is held back;
what turns out to have been a thought, by a lone ``</think>``, is withdrawn. Behind a
back-tick a mark is text: the answer is about it. The work is linear in the text.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .answer_marks import (
    BEGINS,
    BEGUN,
    CHANNEL_ENDS,
    DEBRIS,
    ENDS,
    FORM,
    FORM_BEGUN,
    FORM_ENDS,
    LINE_ENDS,
    LONGEST_END,
    MARK,
    RECIPIENT,
    SPEAKER_ENDS,
    THOUGHT_BEGINS,
    Meaning,
    meaning_of,
)
from .textual_calls import (
    CALLERS,
    FENCE,
    LABELS,
    TextualCall,
    calls_alone,
    calls_marked,
)

# Characters of a marked call; a longer one is left out.
LONGEST_CALL = 100_000
# How an answer begins that may be a call as a whole.
MAY_BE_CALL = re.compile(
    r"\{|\[\s{0,64}\{|```[\w+-]{0,20}[ \t]{0,20}\r?\n\s{0,64}[{\[<`]|```tool_"
)
MAY_BECOME_ONE = re.compile(
    r"\[\s{0,64}\Z|`{1,3}\Z|```[\w+-]{0,20}[ \t]{0,20}(?:\r?\n?\s{0,64})\Z"
)
# Characters in which that is decided.
LEAD = 200
# What is left of a call in a code fence.
EMPTY_FENCE = re.compile(r"```(?:[\w+-]{0,20}\s*+(?:```\s*+)?|tool_(?s:.*))")


class Heard(NamedTuple):
    """What came of a piece.

    Attributes:
        text: the next of the answer.
        withdrawn: what came before *text* was not the answer.
    """

    text: str
    withdrawn: bool = False


@dataclass(slots=True)
class _Block:
    """What is being read between two marks; `content` is kept where it is needed.

    Attributes:
        is_nested: a thought may have begun in this one, which would end twice.
    """

    meaning: Meaning
    ends: re.Pattern[str]
    opening: str
    content: str = ""
    is_nested: bool = False

    def add(self, text: str) -> None:
        wanted = self.meaning in (Meaning.CALLS, Meaning.CHANNEL, Meaning.SPEAKER)
        if wanted and len(self.content) <= LONGEST_CALL:
            self.content += text

    @property
    def whole(self) -> str:
        return self.opening + self.content

    @property
    def is_form(self) -> bool:
        return self.ends is FORM_ENDS

    @property
    def is_too_long(self) -> bool:
        return len(self.content) > LONGEST_CALL


class AnswerText:
    """Read one answer, piece by piece.

    Args:
        tools: the names of those that the model was offered.
        thinks_first: the model is known to begin with a thought that it only closes;
            so nothing is given out before that.

    Attributes:
        thought_first: this answer has begun like that.
    """

    def __init__(
        self, tools: Collection[str] = (), *, thinks_first: bool = False
    ) -> None:
        self.thought_first = False
        self._tools = tools
        self._rest = ""
        # The character before what is read next.
        self._last = ""
        self._block: _Block | None = None
        self._is_over = False
        # A thought has ended that no mark began.
        self._has_thought = False
        # What a header has said of the one that follows.
        self._header = ""
        self._is_struck = False
        self._marked: list[str] = []
        # The calls that the answer is as a whole, or that stand on lines behind words.
        self._alone: list[TextualCall] = []
        self._behind: list[TextualCall] = []
        self._withdrawn = False
        self._begin(held=thinks_first)

    def _begin(self, *, held: bool = False) -> None:
        self._out: list[str] = []
        self._has_said = False
        # The beginning, until it is decided whether it may be a call; None after that.
        self._lead: list[str] | None = []
        self._is_held = held

    def hear(self, piece: str) -> Heard:
        """Take the next piece; return what of the answer is certain by now."""
        if self._is_over or not piece:
            return Heard("")
        if self._is_plain and BEGINS.search(piece) is None:
            self._last = piece[-1]
            return Heard(piece)  # as nearly always
        self._rest += piece
        self._advance(is_last=False)
        return self._given()

    def end(self) -> Heard:
        """Return the rest of the answer."""
        self._advance(is_last=True)
        if self._block is not None:
            self._leave_open(self._block)
        if self._lead is not None:
            self._settle("".join(self._lead))
        return self._given()

    @property
    def _is_plain(self) -> bool:
        """Return whether words are all that has to be looked for."""
        held = self._rest or self._marked or self._has_thought
        return self._lead is None and self._block is None and not held

    @property
    def calls(self) -> list[TextualCall]:
        """Return the calls that the answer is, or ends with; known at its end.

        Beside words of the model's only those of tools that are offered.
        """
        marked = [each for text in self._marked for each in self._read(text)]
        if self._has_said:
            return self._offered(marked) + self._behind
        return self._alone or marked

    def _offered(self, calls: Iterable[TextualCall]) -> list[TextualCall]:
        return [call for call in calls if call.name in self._tools]

    def _read(self, marked: str) -> list[TextualCall]:
        return calls_marked(marked, self._tools)

    def _given(self) -> Heard:
        given = Heard("".join(self._out), self._withdrawn)
        self._out, self._withdrawn = [], False
        return given

    def _advance(self, *, is_last: bool) -> None:
        """Read as much of what has come as can be understood by now."""
        text, position, goes_on = self._rest, 0, True
        while goes_on and position < len(text) and not self._is_over:
            block = self._block
            if block is not None:
                position, goes_on = self._inside(block, text, position, is_last)
            else:
                position, goes_on = self._outside(text, position, is_last)
        self._rest = "" if self._is_over else text[position:]

    def _inside(
        self, block: _Block, text: str, position: int, is_last: bool
    ) -> tuple[int, bool]:
        """Return how far the block was read, and whether to go on from there."""
        found = block.ends.search(text, position)
        if block.meaning is Meaning.THINKS:
            until = found.start() if found else len(text)
            nested = block.is_nested or THOUGHT_BEGINS.search(text, position, until)
            block.is_nested = bool(nested)
        if found is None:
            end = len(text) if is_last else max(position, len(text) - LONGEST_END)
            block.add(text[position:end])
            return end, False
        block.add(text[position : found.start()])
        self._block, self._last = None, ">"
        self._close(block)
        return found.end(), True

    def _close(self, block: _Block) -> None:
        """Act on a block that has come to its end."""
        if block.is_form:
            self._say(block.whole)
            self._last = block.whole[-1]
        elif block.meaning is Meaning.CALLS:
            self._marked.append(block.whole)
        elif block.meaning is Meaning.CHANNEL:
            self._enter(block.content)
        elif block.meaning is Meaning.SPEAKER:
            self._header = block.content
        elif block.is_nested:
            self._is_held = True

    def _enter(self, header: str) -> None:
        """Enter the channel that *header* is of: an answer, a call, or a thought."""
        recipient = RECIPIENT.search(f"{self._header} {header}")
        self._header = ""
        if recipient is not None:
            self._open(Meaning.CALLS, CHANNEL_ENDS, f"{recipient[1]}\n")
        elif not header.strip().startswith("final"):
            self._open(Meaning.THINKS, CHANNEL_ENDS)

    def _outside(self, text: str, position: int, is_last: bool) -> tuple[int, bool]:
        """Return how far words and marks were read, and whether to go on from there."""
        begins = BEGINS.search(text, position)
        start = begins.start() if begins else len(text)
        if start > position:
            self._say(text[position:start])
            self._last = text[start - 1]
        if begins is None:
            return start, False
        is_code = text[start] in "`{"
        if self._is_at_line if is_code else self._last != "`":
            mark = (FORM if is_code else MARK).match(text, start)
            begun = FORM_BEGUN if is_code else BEGUN
            if mark is None and not is_last and begun.match(text, start):
                return start, False
            if mark is not None and (is_code or self._heeds(mark)):
                if is_code:
                    self._open(Meaning.CALLS, FORM_ENDS, mark[0])
                self._last = ">"
                return mark.end(), True
        self._say(text[start])
        self._last = text[start]
        return start + 1, True

    @property
    def _is_at_line(self) -> bool:
        """Return whether a line begins behind words of the answer."""
        return self._has_said and self._last == "\n" and not self._has_thought

    def _heeds(self, mark: re.Match[str]) -> bool:
        """Act on *mark*; return whether it is one, or else it is text."""
        meaning, opening = meaning_of(mark), mark[0]
        if opening == "</s>" and not self._is_struck:
            meaning = Meaning.OVER
        self._is_struck = self._is_struck or opening == "<s>"
        match meaning:
            case None:
                return False
            case Meaning.THOUGHT:
                self._has_thought = True
            case Meaning.OVER:
                self._is_over = self._has_answer
            case Meaning.SPEAKER if self._has_answer:
                self._is_over = True  # somebody else's turn
            case Meaning.SPEAKER:
                self._open(meaning, SPEAKER_ENDS.get(opening, LINE_ENDS))
            case Meaning.NOISE:
                pass
            case _:
                self._open(meaning, ENDS[meaning], opening)
        return True

    def _open(self, meaning: Meaning, ends: re.Pattern[str], opening: str = "") -> None:
        if self._has_thought and meaning is Meaning.CALLS:
            self._withdraw()  # as before words
        self._block = _Block(meaning, ends, opening)

    def _leave_open(self, block: _Block) -> None:
        """Make of a block that nothing has ended what it is."""
        self._block = None
        if block.meaning is not Meaning.CALLS or block.is_too_long:
            return
        if block.is_form:
            self._behind = self._offered(calls_alone(block.whole, self._tools))
            if not self._behind:
                self._say(DEBRIS.sub("", block.whole))
            return
        is_plain = block.opening.startswith("<") and not block.opening.startswith("<|")
        is_form = block.content.lstrip()[:1] in ("", "{", "[", "<", "`")
        if is_form or not is_plain or self._read(block.whole):
            self._marked.append(block.whole)
        else:  # <tools> may be a name in the answer
            self._say(block.opening + DEBRIS.sub("", block.content))

    @property
    def _has_answer(self) -> bool:
        return self._has_said or bool(self._lead)

    def _say(self, text: str) -> None:
        """Add *text* to the answer."""
        if text.strip():
            if self._has_thought:
                self._withdraw()
            if text.strip("`\n\t "):
                self._marked.clear()  # words follow: it is not the answer's end
        elif self._has_thought:
            return
        if self._lead is None:
            self._out.append(text)
            return
        if text := text if self._lead else text.lstrip():
            self._lead.append(text)
        if self._lead and not self._is_held:
            self._decide(self._lead)

    def _withdraw(self) -> None:
        """Begin anew: all that came before was a thought."""
        self._has_thought = False
        self._withdrawn = self._withdrawn or self._has_said
        self.thought_first = self.thought_first or self._has_answer
        self._begin()

    def _decide(self, lead: list[str]) -> None:
        """Hold the beginning back if it may be a call; else give it out."""
        whole = "".join(lead)
        begin = whole[:LEAD]
        may_be = self._may_be_call(begin)
        if may_be is None and len(begin) < LEAD:
            self._lead = [whole]
        elif may_be:
            self._is_held = True
        else:
            self._give(whole)

    def _may_be_call(self, begin: str) -> bool | None:
        """Return whether the whole may be a call; None when that is open yet."""
        plain = begin.lstrip("*# ").lower()
        code = FENCE.sub("", begin, count=1).lstrip() if begin[0] == "`" else begin
        names = _calls_of(tuple(self._tools))
        if (
            MAY_BE_CALL.match(begin)
            or code.startswith(names)
            or plain.startswith(LABELS)
        ):
            return True
        if MAY_BECOME_ONE.match(begin) or _is_begun(code, names, plain):
            return None
        return False

    def _give(self, text: str) -> None:
        self._out.append(text)
        self._has_said = True
        self._lead = None

    def _settle(self, whole: str) -> None:
        """Make of a beginning that was held back what it is."""
        self._alone = calls_alone(whole, self._tools)
        if (
            not self._alone
            and whole.strip()
            and not EMPTY_FENCE.fullmatch(whole.strip())
        ):
            self._give(whole)


@lru_cache(maxsize=64)
def _calls_of(tools: tuple[str, ...]) -> tuple[str, ...]:
    """Return how a call of each tool begins that is written as in Python."""
    written = (f"{bracket}{name}(" for name in tools for bracket in ("", "["))
    return *written, *CALLERS


def _is_begun(code: str, names: tuple[str, ...], plain: str) -> bool:
    """Return whether one of *names* begins like *code*, or a label like *plain*."""
    return any(name.startswith(code) for name in names) or any(
        label.startswith(plain) for label in LABELS
    )


def answer_in(text: str, tools: Collection[str] = ()) -> str:
    """Return what of a whole *text* is the answer; "" for none."""
    reading = AnswerText(tools)
    first, rest = reading.hear(text), reading.end()
    return rest.text if rest.withdrawn else first.text + rest.text
