"""Many contacts at once, and a model's server that answers one after the other."""

import asyncio

import pytest
from scene import installed

pytestmark = pytest.mark.anyio

CONTACTS = 20
SETTINGS = {
    # The server takes all these requests at once, and writes one answer at a time.
    "open to all": {"LLM_FIRST_TOKEN_SECONDS": 5, "LLM_TIMEOUT_SECONDS": 5},
    "a place each": {"LLM_CONCURRENT_REQUESTS": 1, "ANSWER_DEADLINE_SECONDS": 5},
    "a turn each": {"MAX_CONCURRENT_TURNS": 1, "ANSWER_DEADLINE_SECONDS": 5},
}


@pytest.mark.parametrize("limits", SETTINGS)
async def test_nobody_is_handed_over_while_the_server_writes(tmp_path, limits):
    """The last contact waits for twice as long as each limit of time, in line."""
    model = {"slots": 1, "delay_s": 0.5}
    with installed(tmp_path, **SETTINGS[limits]) as installation:
        async with installation.scene(model=model) as here:
            said = await asyncio.gather(
                *(here.chatwoot.contact_says(f"Question {n}") for n in range(CONTACTS))
            )
            numbers = [each.conversation_id for each in said]
            await here.chatwoot.until(
                lambda: all(here.answers(number) for number in numbers), timeout=60
            )
            await here.chatwoot.settled()

    assert sorted(here.answers(number)[0] for number in numbers) == sorted(
        f"Answer to: Question {n}" for n in range(CONTACTS)
    )
    assert [here.chatwoot.notes(number) for number in numbers] == [[]] * CONTACTS


async def test_contact_is_not_left_in_line_before_a_server_that_is_silent(tmp_path):
    """Waiting is left out of the time limits only while somebody is served."""
    settings = {
        "LLM_CONCURRENT_REQUESTS": 1,
        "LLM_FIRST_TOKEN_SECONDS": 1,
        "ANSWER_DEADLINE_SECONDS": 2,
    }
    with installed(tmp_path, **settings) as installation:
        async with installation.scene() as here:
            here.model.fail("timeout", times=100)
            for number in range(4):
                await here.chatwoot.contact_says(f"Question {number}")
            await here.chatwoot.until(
                lambda: sum(map(bool, map(here.chatwoot.notes, noted(here)))) == 4,
                timeout=30,
            )


def noted(here):
    return list(here.chatwoot.world.conversations)
