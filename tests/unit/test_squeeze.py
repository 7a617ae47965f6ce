"""What is left out when the model's context is too small."""

from chatwoot_bot.core.squeeze import LEFT_OUT, halved

SYSTEM = {"role": "system", "content": "p" * 5_000}


def user(content):
    return {"role": "user", "content": content}


def bot(content):
    return {"role": "assistant", "content": content}


HISTORY = [user("1"), bot("2"), user("3"), bot("4")]


def test_older_half_of_the_history_goes_first():
    assert halved([SYSTEM, *HISTORY, user("5")]) == [
        SYSTEM,
        user("3"),
        bot("4"),
        user("5"),
    ]


def test_history_goes_before_what_waits_for_an_answer_is_touched():
    asked = [user("x" * 10_000), user("6")]
    messages = [SYSTEM, *HISTORY, *asked]
    steps = []
    while messages[1:] != asked:
        messages = halved(messages)
        steps.append(len(messages))

    assert steps == [5, 4, 3]


def test_passages_are_halved():
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    found = {"role": "tool", "tool_call_id": "1", "content": "x" * 1_000}
    once = halved([SYSTEM, user("a"), call, found])
    twice = halved(once)

    assert once[-1]["content"] == "x" * 500 + LEFT_OUT
    assert twice[-1]["content"] == "x" * 250 + LEFT_OUT
    assert once[:3] == [SYSTEM, user("a"), call]


def test_last_of_all_the_longest_message_is_cut_in_the_middle():
    [_, first, second] = halved([SYSTEM, user("a" * 600 + "b" * 600), user("c")])

    assert first["content"].startswith("a" * 300 + "\n[… 600 characters")
    assert first["content"].endswith("b" * 300)
    assert second == user("c")


def test_picture_stays_with_its_message():
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    parts = [{"type": "text", "text": "x" * 1_000}, picture]
    [_, shorter] = halved([SYSTEM, user(parts)])

    assert shorter["content"][1:] == [picture]
    assert len(shorter["content"][0]["text"]) < 700


def test_what_is_short_already_cannot_be_halved():
    assert halved([SYSTEM, user("a")]) is None
    assert halved([SYSTEM]) is None
