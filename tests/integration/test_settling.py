"""Stranded conversations are settled one by one, and one does not stop the others."""

from dataclasses import replace

import pytest
from arrivals import RULES, says
from test_stranded import NOW, OURS, marked, opened, owned, take

from chatwoot_bot.chatwoot.client import Fetched, Shown
from chatwoot_bot.core.conversation import State
from chatwoot_bot.errors import ChatwootError
from chatwoot_bot.hub import Hub
from chatwoot_bot.intake import Intake
from chatwoot_bot.metrics import Metrics
from chatwoot_bot.store.conversations import find
from chatwoot_bot.taking_back import AWAY_S, BARRED_S, TakingBack

pytestmark = pytest.mark.anyio

ODD, PLAIN = 149, 150


class Missed:
    """Chatwoot, which shows one conversation and not the other."""

    def __init__(self, problem):
        self.problem = problem

    async def show(self, account_id, display_id, inbox_id):
        if display_id == ODD:
            raise self.problem
        seen = owned(says(conversation=display_id, clock=301.0), OURS).event
        return Shown(
            seen=Fetched(event=seen, written_at=301.0),
            messages=[],
            opened_by_decision=False,
        )

    async def of(self, shown):
        return []


def stranded(number):
    """A conversation that a contact began and that Chatwoot has opened."""
    mark = opened()
    seen = replace(mark.event.conversation, display_id=number)
    return says(conversation=number), replace(
        mark, event=replace(mark.event, conversation=seen)
    )


@pytest.mark.parametrize(
    ("problem", "wait_s"),
    [
        (TypeError("a defect of ours"), BARRED_S),
        (ChatwootError("no answer", status_code=None), AWAY_S),
        (ChatwootError("not yours", status_code=403, final=True), BARRED_S),
    ],
    ids=["defect", "away", "barred"],
)
async def test_conversation_that_cannot_be_settled_waits_and_the_others_do_not(
    db, problem, wait_s
):
    """A defect must neither stop them nor be met again in every pass."""
    await take(db, *stranded(ODD), *stranded(PLAIN))
    intake = Intake(db, Hub(), RULES, Metrics(), None)
    settling = TakingBack(db, intake, Missed(problem), RULES, clock=lambda: NOW)

    await settling.once()

    settled = await db.write(find, {"account_id": 1, "display_id": PLAIN})
    assert settled[0].state is State.AI
    assert await marked(db, before=NOW + wait_s - 3) == []
    assert await marked(db, before=NOW + wait_s) == [(1, ODD, 3)]
