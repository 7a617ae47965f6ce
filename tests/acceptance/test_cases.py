"""Deliveries of `tests/cases/`, as public reports describe them, and their effect.

Each file is played as it is, against a service and a Chatwoot of its own.
"""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from scene import FENCE, installed

from chatwoot_bot.core.splitting import size
from chatwoot_bot.simulator.llm import Body, Deltas, ToolCall, echo
from chatwoot_bot.simulator.records import Draft

pytestmark = pytest.mark.anyio

CASES = Path(__file__).parents[1] / "cases"
BEFORE = Draft(content="Hello", message_type="incoming", sender_type="contact")
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLISH = "I am passing you on to a colleague"


def case(number):
    [path] = CASES.glob(f"{number:02}-*.json")
    return json.loads(path.read_text())


class Played:
    """A case under way: its deliveries come one by one."""

    def __init__(self, content, here):
        self.content, self.here = content, here
        self.deliveries = [s["deliver"] for s in content["steps"] if "deliver" in s]

    async def deliver(self, body):
        """Deliver *body*; return what the service says of it."""
        text = json.dumps(body, ensure_ascii=False)
        now = repr(time.time())
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                self.here.url, content=text.replace('"$NOW"', now).encode()
            )
        assert answer.status_code == 200
        return answer.json()

    async def play(self):
        """Deliver everything, and wait wherever the case waits."""
        for step in self.content["steps"]:
            if "deliver" in step:
                await self.deliver(step["deliver"])
            else:
                await self.here.quiet()

    def asked(self):
        """What the contact has just said, by request of the model."""
        return self.here.asked()

    def answers(self, conversation):
        return self.here.answers(conversation)


@asynccontextmanager
async def begun(folder, number, **options):
    """A service beside a Chatwoot that has the case's conversations."""
    content = case(number)
    shown = {
        step["deliver"]["conversation"]["id"]: step["deliver"]["conversation"]
        for step in content["steps"]
        if "deliver" in step
    }
    channels = {each["channel"] for each in shown.values()}
    settings = {"ANSWER_DEADLINE_SECONDS": 20}
    for name, text in content.get("knowledge", {}).items():
        settings["KNOWLEDGE_DIR"] = folder / "docs"
        settings["KNOWLEDGE_DIR"].mkdir(exist_ok=True)
        (folder / "docs" / name).write_text(text)
    with installed(folder, **settings) as installation:
        async with installation.scene(channel=channels.pop(), **options) as here:
            world = here.chatwoot.world
            for number in shown:
                contact = world.ledger.new_contact("Lena")
                target = world.new_conversation(contact, id=number)
                # Without a message of the contact, some channels take no reply.
                world.ledger.store(target, BEFORE)
            yield Played(content, here)


class Scripted:
    """A model that plays the case's answers to its contact, the last one for ever."""

    def __init__(self, number):
        content = case(number)
        self.answers = content["model"]["answers"]
        self.refusals = content["model"].get("refuse", [])
        self.contact = [
            step["deliver"]["content"] for step in content["steps"] if "deliver" in step
        ]
        self.requests = []

    def __call__(self, messages):
        users = [line["content"] for line in messages if line["role"] == "user"]
        if not users or users[-1] not in self.contact:
            return echo(messages)  # another contact, or a summary
        self.requests.append(messages)
        for refusal in self.refusals:
            if any("thought_signature" not in str(call) for call in calls_in(messages)):
                return Body(status=refusal["status"], content=refusal["json"])
        played = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if played.get("text") == "$TOOLS":
            return "\n".join(results_in(messages))
        said = [{"content": played["text"]}] if "text" in played else played["deltas"]
        return Deltas(deltas=said, finish=played.get("finish", "stop"))


def calls_in(messages):
    return [call for line in messages for call in line.get("tool_calls") or ()]


def results_in(messages):
    return [line["content"] for line in messages if line["role"] == "tool"]


async def can_search(here):
    """Wait until the model is offered to search the documents."""
    async with asyncio.timeout(30):
        while "search_knowledge" not in str(here.model.requests[-1:]):
            await here.answered(FENCE)


async def test_quoted_history_of_html_only_mail_is_not_the_contacts_word(tmp_path):
    """The quoted mail says: just write "human"; nobody asked for one."""
    async with begun(tmp_path, 10) as played:
        await played.play()

    assert played.asked() == ["Thanks, that solved it!\n\nLena"]
    assert len(played.answers(152)) == 1
    assert played.here.chatwoot.notes(152) == []


async def test_sender_that_takes_no_replies_gets_none(tmp_path):
    """Two machines would write to each other for ever; the team sees it instead."""
    async with begun(tmp_path, 11) as played:
        await played.play()

    assert played.answers(152) == []
    assert played.here.conversation(152).status == "open"


async def test_call_is_not_answered_in_writing(tmp_path):
    async with begun(tmp_path, 12) as played:
        await played.play()

    assert played.answers(150) == []
    assert played.asked() == []


async def test_reaction_on_the_paired_phone_leaves_the_conversation_to_the_bot(
    tmp_path,
):
    async with begun(tmp_path, 13) as played:
        await played.play()

    assert played.answers(150) == [
        "Answer to: Do you have lamps?",
        "Answer to: In red?",
    ]


async def test_attachment_that_comes_with_an_update_is_that_message(tmp_path):
    async with begun(tmp_path, 14) as played:
        empty, filled, after = played.deliveries
        assert (await played.deliver(empty))["reason"] == "empty"
        await played.deliver(filled)
        await played.here.quiet()
        assert [asked[:6] for asked in played.asked()] == ["[audio"]
        assert len(played.answers(150)) == 1

        await played.deliver(after)
        await played.here.quiet()

    lines = played.here.shown("did you hear it?")
    assert [line[:6] for line in lines] == ["[audio", "Answer", "did yo"]
    assert len(played.answers(150)) == 2


async def test_message_deleted_for_everyone_is_not_answered_though_its_text_stays(
    tmp_path,
):
    async with begun(tmp_path, 15, model={"delay_s": 3.0}) as played:
        said, deleted = played.deliveries
        await played.deliver(said)
        await played.here.model.until(lambda: played.here.model.started == 1)
        await played.deliver(deleted)
        await played.here.model.until(lambda: played.here.model.aborted == 1)
        await played.here.quiet()

    assert played.answers(150) == []


async def test_group_is_left_alone(tmp_path):
    async with begun(tmp_path, 16) as played:
        [said] = played.deliveries
        assert (await played.deliver(said))["reason"] == "ignored_contact"
        await played.here.quiet()

    assert played.answers(150) == []


async def test_contact_whose_language_we_lack_reads_english_not_a_neighbours(tmp_path):
    def escalates(messages):
        if "Anybody else?" in str(messages[-1]["content"]):
            return echo(messages)
        return ToolCall(name="escalate_to_human", arguments={})

    async with begun(tmp_path, 17, model={"reply": escalates}) as played:
        await played.play()
        for number in range(300, 305):
            await played.here.chatwoot.wait_for_replies(number, 1)

    for number in range(300, 305):
        [told] = played.answers(number)
        assert told.startswith(ENGLISH)


async def test_keyword_inside_another_meaning_calls_nobody(tmp_path):
    async with begun(tmp_path, 18) as played:
        await played.play()

    for number in range(400, 404):
        assert [answer[:9] for answer in played.answers(number)] == ["Answer to"]


async def test_family_is_not_torn_at_the_length_limit(tmp_path):
    [answer] = case(21)["model"]["answers"]

    def says(messages):
        asked = str(messages[-1]["content"])
        return answer["text"] if "party?" in asked else echo(messages)

    async with begun(tmp_path, 21, model={"reply": says}) as played:
        await played.play()
        said = played.here.chatwoot.until
        await said(lambda: "".join(played.answers(150)) == answer["text"])

    parts = played.answers(150)
    assert all(size(part) <= 160 for part in parts)
    assert len(parts) > 1
    # Not by the rule that cuts: every part is whole families, and nothing else.
    assert all(part.removeprefix("a").replace(FAMILY, "") == "" for part in parts)


def refusing(content):
    """Return what refuses as the server of the case does."""
    rules = content["model"]["refuse"]

    def refuses(body):
        sides = [each["role"] for each in body["messages"]]
        sides = sides[1:] if sides[0] == "system" else sides
        expected = ["user", "assistant"] * len(sides)
        broken = {
            "tools": "tools" in body,
            "roles do not alternate": sides != expected[: len(sides)],
            "tools and reasoning_effort is not none": "tools" in body
            and body.get("reasoning_effort") != "none",
        }
        found = [rule for rule in rules if broken[rule["if"]]]
        return (found[0]["status"], found[0]["json"]) if found else None

    return refuses


async def test_roles_are_brought_into_the_form_that_the_server_demands(tmp_path):
    """Three quick messages, and a greeting before the first."""
    content = case(5)
    [answer] = content["model"]["answers"]
    model = {"reply": answer["text"], "refuses": refusing(content)}
    async with begun(tmp_path, 5, model=model) as played:
        *quick, greeting, last = played.deliveries
        for each in quick:
            await played.deliver(each)
        await played.here.chatwoot.wait_for_replies(150, 1)
        for each in (greeting, last):
            await played.deliver(each)
        await played.here.chatwoot.wait_for_replies(151, 1)

    assert played.answers(150) == played.answers(151) == [answer["text"]]
    assert played.here.chatwoot.notes(150) == played.here.chatwoot.notes(151) == []


async def test_tools_stay_where_the_model_takes_them_without_reasoning(tmp_path):
    """Every contact, not only the first few, can be handed over by the model."""
    content = case(6)

    def calls(messages):
        return ToolCall(name="escalate_to_human", arguments={"reason": "A theft."})

    model = {"reply": calls, "refuses": refusing(content)}
    async with begun(tmp_path, 6, model=model) as played:
        for each in played.deliveries:
            await played.deliver(each)
        await played.here.chatwoot.until(
            lambda: all(played.here.chatwoot.notes(n) for n in range(150, 154))
        )
        states = [played.here.conversation(n).status for n in range(150, 154)]
        asked = [each for each in played.here.model.requests if "tools" in each]

    assert states == ["open"] * 4
    # Those that came at once have not learnt it from each other.
    efforts = [each.get("reasoning_effort") for each in asked]
    assert (efforts.count("none"), efforts.count(None)) >= (4, 1)
    assert efforts[-1] == "none"
    assert len(played.here.model.requests) - len(asked) == 4  # the summaries


async def test_parallel_calls_under_one_index_are_two_calls(tmp_path):
    model = Scripted(3)
    async with begun(tmp_path, 3, model={"reply": model}) as played:
        await can_search(played.here)
        await played.play()
        await played.here.chatwoot.wait_for_replies(150, 1)
        await played.here.chatwoot.settled()

    called = [call["function"] for call in calls_in(model.requests[-1])]
    assert [json.loads(each["arguments"]) for each in called] == [
        {"query": "shipping Norway"},
        {"query": "returns"},
    ]
    [answer] = played.answers(150)
    assert "5 days for 12 euros" in answer
    assert "free within 30 days" in answer


async def test_call_goes_back_to_the_server_with_its_signature(tmp_path):
    model = Scripted(4)
    async with begun(tmp_path, 4, model={"reply": model}) as played:
        await can_search(played.here)
        await played.play()
        await played.here.chatwoot.wait_for_replies(150, 1)
        await played.here.chatwoot.settled()

    assert played.answers(150) == ["We ship to Norway in 5 days."]
    assert played.here.chatwoot.notes(150) == []


async def test_contact_does_not_read_what_the_model_thinks(tmp_path):
    async with begun(tmp_path, 7, model={"reply": Scripted(7)}) as played:
        await played.play()
        await played.here.chatwoot.wait_for_replies(150, 1)
        await played.here.chatwoot.settled()

    assert played.answers(150) == ["It costs 12 euros."]


async def test_call_of_a_human_that_is_written_as_text_calls_one(tmp_path):
    async with begun(tmp_path, 8, model={"reply": Scripted(8)}) as played:
        await played.play()
        await played.here.chatwoot.wait_for_replies(150, 1)
        await played.here.chatwoot.until(lambda: played.here.chatwoot.notes(150))
        await played.here.chatwoot.settled()

    [told] = played.answers(150)
    assert told.startswith(ENGLISH)
    [note] = played.here.chatwoot.notes(150)
    assert "wants a refund" in note.content
    assert played.here.conversation(150).status == "open"


async def test_half_a_sentence_is_not_an_answer(tmp_path):
    model = Scripted(9)
    async with begun(tmp_path, 9, model={"reply": model}) as played:
        await played.play()
        await played.here.chatwoot.wait_for_replies(150, 1)
        await played.here.chatwoot.until(lambda: played.here.chatwoot.notes(150))
        await played.here.chatwoot.settled()

    [told] = played.answers(150)
    assert told.startswith(ENGLISH)
    assert len(model.requests) == 2
    assert played.here.conversation(150).status == "open"
