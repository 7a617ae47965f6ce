"""Calls that are booked through the real path: a contact, a model, a calendar."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from calcom_stand_in import EVENT_TYPE, KEY, NEVER_ANSWERS
from calcom_stand_in import calcom_stand_in as running
from test_reply import attach, connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall

pytestmark = pytest.mark.anyio

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)")
ANN = {"name": "Ann", "email_or_phone": "ann@shop.example"}
OWN = {"BOOKING_HOURS": "Mon-Sun 00:00-23:00", "PUBLIC_URL": "https://bot.example"}


def told(messages):
    return [line["content"] for line in messages if line["role"] == "tool"]


def books(start=None):
    """A model that asks for a free time and books it; it repeats what it is told."""

    def reply(messages):
        if messages[0]["content"].startswith("Summarize"):
            return "A summary."
        results = told(messages)
        if start is None and not results:
            return ToolCall(name="find_free_times", arguments={})
        if len(results) == (1 if start is None else 0):
            free = start or TIME.search(results[0])[0]
            arguments = {**ANN, "preferred_time": free}
            return ToolCall(name="book_a_call", arguments=arguments)
        return results[-1]

    return reply


async def only_reply(chatwoot, cid):
    [reply] = await chatwoot.wait_for_replies(cid, 1)
    await chatwoot.settled()
    assert len(chatwoot.replies(cid)) == 1
    return reply.content


async def bookings(service):
    async with httpx.AsyncClient(headers=service.agent) as http:
        return (await http.get(f"{service.url}/bookings")).json()["items"]


async def test_link_is_given(tmp_path):
    def asks_for_the_link(messages):
        results = told(messages)
        return results[-1] if results else ToolCall(name="book_a_call", arguments={})

    async with ModelStandIn(reply=asks_for_the_link) as model, simulated() as chatwoot:
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k"}
        settings["BOOKING_URL"] = "https://cal.example/ada"
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Can we talk?")
            answer = await only_reply(chatwoot, said.conversation_id)

    assert "https://cal.example/ada" in answer


async def test_call_in_our_own_calendar(tmp_path):
    """Booked once, told to the agents, listed, and there as a calendar file."""
    async with ModelStandIn(reply=books()) as model, simulated() as chatwoot:
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k", **OWN}
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Can we talk?")
            cid = said.conversation_id
            answer = await only_reply(chatwoot, cid)
            await chatwoot.until(lambda: chatwoot.notes(cid))
            [booking] = await bookings(service)
            [path] = re.findall(r"https://bot\.example(/bookings/\S+?\.ics)", answer)
            async with httpx.AsyncClient() as http:
                file = await http.get(f"{service.url}{path}")

    assert booking["state"] == "booked"
    assert len(chatwoot.notes(cid)) == 1
    assert file.headers["content-type"].startswith("text/calendar")


def offered(request):
    return {tool["function"]["name"] for tool in request["tools"]}


async def test_only_who_has_a_call_can_move_or_cancel_it(tmp_path):
    """Their tools are read with each request, and most contacts have no call."""
    changing = {"reschedule_call", "cancel_call"}
    async with ModelStandIn(reply=books()) as model, simulated() as chatwoot:
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k", **OWN}
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            said = await chatwoot.contact_says("Can we talk?")
            await only_reply(chatwoot, said.conversation_id)
            before = model.requests[0]
            model.reply = "Fine."
            await chatwoot.contact_says("Thanks", conversation=said.conversation_id)
            await chatwoot.wait_for_replies(said.conversation_id, 2)

    assert not changing & offered(before)
    assert changing <= offered(model.requests[-1])


async def test_two_contacts_who_want_the_same_time_get_two(tmp_path):
    """One of them is told what else is free."""
    async with ModelStandIn() as model, simulated() as chatwoot:
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k", **OWN}
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            noon = (datetime.now(UTC) + timedelta(days=2)).replace(hour=12, minute=0)
            model.reply = books(f"{noon:%Y-%m-%dT%H:%M}Z")
            said = await asyncio.gather(
                *(chatwoot.contact_says("Noon, please.") for _ in range(5))
            )
            answers = [
                await only_reply(chatwoot, each.conversation_id) for each in said
            ]
            booked = await bookings(service)

    assert len(booked) == 1
    assert sum("not free" in answer for answer in answers) == 4


async def test_kill_while_cal_com_books_is_one_booking(tmp_path):
    """Cal.com has booked and its answer never came; the next process finds that out."""
    ten = (datetime.now(UTC) + timedelta(days=2)).replace(
        hour=10, minute=0, second=0, microsecond=0
    )
    async with (
        running() as calcom,
        simulated() as chatwoot,
        ModelStandIn(reply=books(f"{ten:%Y-%m-%dT%H:%M}Z")) as model,
    ):
        calcom.free = [ten]
        calcom.fail("POST /v2/bookings", NEVER_ANSWERS)
        settings = {
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "k",
            "CALCOM_API_KEY": KEY,
            "CALCOM_EVENT_TYPE_ID": EVENT_TYPE,
            "CALCOM_BASE_URL": calcom.url,
        }
        first = connected(tmp_path, chatwoot, **settings)
        try:
            attach(chatwoot, first.start())
            said = await chatwoot.contact_says("At ten, please.")
            await asyncio.wait_for(calcom.asked.wait(), 10)
        finally:
            first.kill()
        # The worst model: it books again, whatever it has been told.
        count = len(model.requests)
        model.reply = lambda messages: (
            books(f"{ten:%Y-%m-%dT%H:%M}Z")([messages[0]])
            if len(model.requests) == count + 1
            else told(messages)[-1]
        )
        with connected(tmp_path, chatwoot, **settings) as service:
            attach(chatwoot, service)
            answer = await only_reply(chatwoot, said.conversation_id)
            listed = await bookings(service)

    assert len(calcom.active()) == 1
    assert [each["state"] for each in listed] == ["booked"]
    assert "booked" in answer.lower()
