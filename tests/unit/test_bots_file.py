"""`bots.toml`: what it may say, and where it is wrong."""

import tomllib
from pathlib import Path

import pytest

from chatwoot_bot.app import rules
from chatwoot_bot.bots import KEYS, Source, _Bot, _Handoff, _Rule
from chatwoot_bot.core.decision import asks_for_human
from chatwoot_bot.core.endpoint import Parameter
from chatwoot_bot.core.rules import Rule, When
from chatwoot_bot.endpoints import HttpTool
from chatwoot_bot.errors import SettingsError
from chatwoot_bot.settings import DEFAULT_PROMPT, Settings

EXAMPLE = Path(__file__).parents[2] / "bots.example.toml"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a file in the working directory, and return the settings with it."""
    monkeypatch.chdir(tmp_path)

    def write(text, **environ):
        Path("bots.toml").write_text(text)
        return Settings.load({"BOTS_FILE": "bots.toml", **environ})

    return write


@pytest.fixture
def problems(written):
    def problems(text, **environ):
        with pytest.raises(SettingsError) as caught:
            written(text, **environ)
        return caught.value.problems

    return problems


WRONG = [
    ("[[bots]]\nnmae = 'Ada'", "2 nmae", "is not a known key; did you mean name?"),
    (
        "[[bots]]\n\n# him\nx = 1",
        "4 x",
        "is not a known key; use one of inboxes, name, com",
    ),
    ("[[bot]]", "1 bot", "is not a known key; did you mean bots?"),
    ("[bots]\nname = 'A'", "1 bots", "its name in [[double brackets]]"),
    (
        "[[bots]]\nhandoff = { teem = 2 }",
        "2 handoff.teem",
        "is not a known key; did you mean team?",
    ),
    (
        "[[bots]]\n[[bots.handoff.rules]]\nsays = ['a']\nlable = ['b']",
        "4 handoff.rules[1].lable",
        "is not a known key; did you mean labels?",
    ),
    ("[[bots]]\nname = 3", "2 name", 'must be a text in "quotes"'),
    ("[[bots]]\nname = ' '", "2 name", "is empty; leave it out"),
    ("[[bots]]\n[bots.handoff]\nteam = '2'", "3 handoff.team", "must be a whole num"),
    ("[[bots]]\n[bots.handoff]\nteam = 0", "3 handoff.team", "greater than or equal"),
    (
        "[[bots]]\n[bots.handoff]\npriority = 'highest'",
        "3 handoff.priority",
        "should be 'low', 'medium', 'high' or 'urgent'",
    ),
    (
        "[[bots]]\n[bots.handoff]\nkeywords = [\n  'human',\n  3,\n]",
        "3 handoff.keywords[2]",
        'must be a text in "quotes"',
    ),
    ("[[bots]]\n[bots.handoff]\nlabels = 'a'", "3 handoff.labels", "in [brackets]"),
    ("[[bots]]\n[bots.handoff]\nattributes = 3", "3 handoff.attributes", "a table"),
    (
        "[[bots]]\n[bots.handoff]\nattributes = { a = [1] }",
        "3 handoff.attributes",
        "a must be a text, a number, true or false",
    ),
    ("[[bots]]\ninboxes = []", "2 inboxes", "is empty; leave it out for all inboxes"),
    ("[[bots]]\ninboxes = [true]", "2 inboxes", 'inboxes and "web"'),
    ("[[bots]]\ninboxes = ['widget']", "2 inboxes", "contains 'widget'"),
    ("[[bots]]\ninboxes = [0]", "2 inboxes", "contains 0"),
    (
        "[[bots]]\ninboxes = [3]\n[[bots]]\ninboxes = [4, 3]",
        "4 inboxes",
        "3 already has a bot, in line 1; remove it from one of them",
    ),
    (
        "[[bots]]\nname = 'A'\n\n[[bots]]\nname = 'B'",
        "4 bots",
        "names no inboxes, like the bot in line 1; only one bot can serve all",
    ),
    ("", "1 bots", "has no bot; write at least one table [[bots]]"),
    ("[[bots]]\nbase_url = 'localhost'", "2 base_url", "must be a URL such as"),
    ("[[bots]]\ntimezone = 'Berlin'", "2 timezone", "a name such as Europe/Berlin"),
    ("[[bots]]\nbusiness_hours = 'daily'", "2 business_hours", "'daily' is not like"),
    ("[[bots]]\nlanguages = ['xx']", "2 languages", "'xx' is not one of ar, de, en"),
    ("[[bots]]\ntools = 'a b'", "2 tools", "must be a module, such as package.module"),
    ("[[bots]]\ntoken_env = 'NONE'", "2 token_env", "variable NONE is not set"),
    ("[[bots]]\nsecret_env = 'NONE'", "2 secret_env", "set it, or add it to .env"),
    ("[[bots]]\napi_key_env = 'sk-1'", "2 api_key_env", "must be the name of an env"),
    ("[[bots]]\ntoken_env = 'CURLY'", "2 token_env", "must be ASCII without spaces"),
    ("[[bots]]\nprompt_file = 'a.txt'", "2 prompt_file", "a file that does not exist"),
    (
        "[[bots]]\nprompt = 'a'\nprompt_file = 'bots.toml'",
        "3 prompt_file",
        "conflicts with prompt; leave one of them out",
    ),
    (
        "[[bots]]\n[[bots.handoff.rules]]\nbecause = 'x'",
        "2 handoff.rules[1]",
        "would hand over every conversation; name one of says, labels",
    ),
    (
        "[[bots]]\n[[bots.handoff.rules]]\nignore = true",
        "2 handoff.rules[1]",
        "would ignore every contact; name one of says, labels",
    ),
    (
        "[[bots]]\n[[bots.handoff.rules]]\nhours = 'inside'",
        "3 handoff.rules[1].hours",
        "needs business_hours of the bot, or BUSINESS_HOURS",
    ),
    (
        "[[bots]]\n[[bots.handoff.rules]]\nhours = 'open'",
        "3 handoff.rules[1].hours",
        "must be one of inside, outside",
    ),
    (
        "[[bots]]\n[[bots.handoff.rules]]\nfirst_message = 1",
        "3 handoff.rules[1].first_message",
        "must be true or false",
    ),
]


TOOL = """[[bots]]
[[bots.http_tools]]
name = "find"
description = "Find."
url = "https://shop.example.com/orders/{order}"
parameters = { order = "number" }
"""


@pytest.mark.parametrize(
    ("line", "key", "problem"),
    [
        ("name = 'find order'", "name", "must be letters, digits, _ and -"),
        ("method = 'get'", "method", "'GET', 'POST'"),
        ("url = 'shop/{order}'", "url", "must be a URL such as"),
        ("url = 'http://shop:99999/{order}'", "url", "must be a URL such as"),
        ("url = 'ftp://shop/{order}'", "url", "must be a URL such as"),
        ("url = 'https://{order}.shop/x'", "url", "the model must not choose it"),
        ("url = 'https://a:b@shop/{order}'", "url", "contains a password"),
        ("url = 'https://shop/{order id}'", "url", "placeholders written like {order}"),
        ("url = 'https://shop/{number}'", "url", "{number} is not a parameter"),
        ("parameters = { a-b = 'x' }", "parameters", "letters, digits and _"),
        ("parameters = { copy = 'x' }", "parameters", "write my_copy"),
        ("parameters = { order = 3 }", "parameters", "order must be a text for the"),
        (
            "parameters = { order = { type = 'date' } }",
            "parameters",
            "order must have a type of string, integer, number, boolean",
        ),
        (
            "parameters = { order = { kind = 'x' } }",
            "parameters",
            "a table with type and description",
        ),
        ("headers = { Host = 'x' }", "headers", "must be the name of a header"),
        (
            "headers = { Authorization = 'Bearer x' }",
            "headers",
            "name its variable in headers_env",
        ),
        ("headers = { X-Api-Key = 'x' }", "headers", "contains a secret"),
        ("headers_env = { X-A = 'sk-1' }", "headers_env", "the name of an environment"),
        ("headers_env = { X-A = 'NONE' }", "headers_env.X-A", "NONE is not set"),
        ("headers_env = { X-A = 'CURLY' }", "headers_env.X-A", "must be ASCII"),
        ("idempotency_header = 'X-K'", "idempotency_header", "no effect on a GET"),
        ("idempotency_header = 'X K'", "idempotency_header", "the name of a header"),
        ("timeout = 0", "timeout", "greater than 0"),
        ("x = 'x'", "x", "is not a known key; use one of name, description"),
    ],
)
def test_each_problem_of_an_endpoint_has_its_line(problems, line, key, problem):
    name = line.partition(" ")[0]
    lines = [each for each in TOOL.splitlines() if not each.startswith(f"{name} ")]
    found = problems("\n".join([*lines, line]), CURLY="”")

    place = f"bots.toml:{len(lines) + 1} http_tools[1].{key}"
    assert list(found) == [place]
    assert problem in found[place]


def test_endpoint_needs_what_the_model_must_know(problems):
    assert problems("[[bots]]\n[[bots.http_tools]]\nname = 'find'") == {
        "bots.toml:2 http_tools[1]": "needs a name, a description and an url"
    }


def test_two_endpoints_do_not_share_a_name(problems):
    found = problems(TOOL + TOOL.removeprefix("[[bots]]\n"))

    assert found == {"bots.toml:8 http_tools[2].name": "there are two tools named find"}


def test_endpoint_is_read_as_written(written):
    settings = written(
        TOOL
        + """method = "POST"
headers = { X-Shop = "berlin" }
headers_env = { Authorization = "SHOP_TOKEN" }
idempotency_header = "Idempotency-Key"
timeout = 5
""",
        SHOP_TOKEN="Bearer hush",
    )
    [endpoint] = settings.bots[0].endpoints

    assert (endpoint.name, endpoint.method, endpoint.timeout_s) == ("find", "POST", 5)
    assert endpoint.parameters == (Parameter(name="order", description="number"),)
    assert endpoint.secret_headers == {"Authorization": "Bearer hush"}
    assert endpoint.key_header == "Idempotency-Key"
    assert "hush" not in repr(settings.bots)


@pytest.mark.parametrize(
    ("lines", "second"),
    [
        ("", (None, "env", "large")),
        ("model = 'x'", (None, "env", "large")),
        # Its contacts are not sent to a server that was chosen for others.
        ("base_url = 'http://own/v1'", None),
        ("api_key_env = 'OWN'", None),
        (
            "base_url = 'http://own/v1'\nfallback_model = 'm'",
            ("http://own/v1", "none", "m"),
        ),
        ("fallback_model = 'm'", (None, "env", "m")),
        ("fallback_base_url = 'http://b/v1'", ("http://b/v1", "none", "large")),
        (
            "fallback_base_url = 'http://b/v1'\nfallback_api_key_env = 'OWN'",
            ("http://b/v1", "own", "large"),
        ),
    ],
)
def test_which_second_provider_a_bot_has(written, lines, second):
    settings = written(
        f"[[bots]]\n{lines}",
        OPENAI_API_KEY="sk",
        OPENAI_FALLBACK_API_KEY="env",
        OPENAI_FALLBACK_MODEL="large",
        OWN="own",
    )

    assert settings.bots[0].settings.second_llm() == second


@pytest.mark.parametrize(("text", "place", "problem"), WRONG)
def test_each_problem_has_its_line_its_key_and_its_mend(problems, text, place, problem):
    found = problems(text, CURLY="”")

    assert list(found) == [f"bots.toml:{place}"]
    assert problem in found[f"bots.toml:{place}"]


def test_all_problems_are_told_at_once_with_those_of_the_environment(problems):
    """Nobody starts a service six times to mend six lines."""
    found = problems(
        """
# the shop
[[bots]]
inboxes = [3]
prompt = '''
nmae = "no key, but text"
'''
team = 2
timezone = "Mars"

[[bots]]
inboxes = [3]
[bots.handoff]
max_turn = 5
""",
        CHATWOOT_BASE_URL="https://chat.example.com",
        RESPONDER="mock",
    )

    assert list(found) == [
        "CHATWOOT_WEBHOOK_SECRET",
        "CHATWOOT_API_TOKEN",
        "bots.toml:8 team",
        "bots.toml:9 timezone",
        "bots.toml:12 inboxes",
        "bots.toml:14 handoff.max_turn",
    ]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("[[bots]]\nname = Ada", "2 column 8", "Invalid value"),
        ('[[bots]]\nname = "Ada\n', "2 column 12", "Illegal character '\\n'"),
        ("[[bots]]\n\ninboxes = [3,\n\n", "3", "Invalid value"),
        ("[[bots]]\nname = ''\nname = 'A'", "3", "Cannot overwrite a value"),
    ],
)
def test_what_is_no_toml_has_its_line(problems, text, place, problem):
    [(found, words)] = problems(text).items()

    assert words == f"is not valid TOML: {problem}"
    assert found == f"bots.toml:{place}"


def test_byte_order_mark_does_no_harm(written):
    """Notepad writes one."""
    assert written("\ufeff[[bots]]\nname = 'Ada'").bots[0].settings.bot_name == "Ada"


ODD = ["3", "-1", "0.5", "nan", "''", "'x'", "true", "[]", "[[]]", "[3]", "['x']"]
ODD += ["{}", "{ a = [1] }", "[{}]", "1979-05-27", "07:32:00", "'\\u0000'", "[[{}], 1]"]
BEFORE = [
    *(f"[[bots]]\n{name} = " for name in _Bot.model_fields),
    *(f"[[bots]]\n[bots.handoff]\n{name} = " for name in _Handoff.model_fields),
    *(f"[[bots]]\n[[bots.handoff.rules]]\n{name} = " for name in _Rule.model_fields),
    "bots = ",
    "x = ",
]


@pytest.mark.parametrize("before", BEFORE)
def test_no_value_of_any_kind_is_more_than_a_problem(written, before):
    for value in ODD:
        try:
            written(before + value)
        except SettingsError as error:
            assert all(place.startswith("bots.toml:") for place in error.problems)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_file_that_cannot_be_read_is_named(tmp_path, make):
    path = tmp_path / "none.toml"
    make(path)

    with pytest.raises(SettingsError) as caught:
        Settings.load({"BOTS_FILE": str(path)})

    [problem] = caught.value.problems.values()
    assert problem.startswith(f"names a file that cannot be read ({path}): ")


def test_token_that_was_pasted_in_is_not_shown(problems):
    """Chatwoot's tokens have no hyphens; the message still must not hold one."""
    found = problems("[[bots]]\ntoken_env = 'yZ4cGh8tokenOfChatwoot00'")

    assert "yZ4cGh8" not in str(found)


def test_bot_says_some_things_and_the_environment_the_rest(written):
    settings = written(
        """
[[bots]]
inboxes = [3, "web"]
name = "Ada"
token_env = "ADA_TOKEN"
secret_env = "ADA_SECRET"
[bots.handoff]
team = 2
attributes = { source = "bot", level = 2, paid = true }
""",
        ADA_TOKEN="t",
        ADA_SECRET="the-secret-of-ada",
        CHATWOOT_WEBHOOK_SECRET="the-secret-of-all",
        BOT_NAME="Bob",
        OPENAI_MODEL="small",
        HANDOFF_PRIORITY="high",
    )
    ada = settings.bot_for(3).settings

    assert settings.bot_for("web") is settings.bot_for(3)
    assert (ada.bot_name, ada.openai_model) == ("Ada", "small")
    assert ada.prompt() == DEFAULT_PROMPT.format(name="Ada")
    assert (ada.handoff_team_id, ada.handoff_priority) == (2, "high")
    assert dict(ada.handoff_attributes) == {
        "source": "bot",
        "level": "2",
        "paid": "true",
    }
    assert ada.chatwoot_api_token.get_secret_value() == "t"
    # A delivery is signed with the secret of its own bot, whichever that is.
    secrets = [each.get_secret_value() for each in settings.chatwoot_webhook_secret]
    assert secrets == ["the-secret-of-all", "the-secret-of-ada"]


def test_without_a_bot_for_all_others_other_inboxes_are_left_alone(written):
    settings = written("[[bots]]\ninboxes = [3]")

    assert [settings.serves(inbox) for inbox in (3, 4, None)] == [True, False, True]


def test_one_bot_without_inboxes_serves_all_others(written):
    settings = written("[[bots]]\ninboxes = [3]\n[[bots]]\nname = 'Bob'")

    assert settings.bot_for(9).settings.bot_name == "Bob"
    assert settings.serves(9)


def test_bot_of_an_inbox_that_is_not_listened_to_is_refused(problems):
    """`setup` writes CHATWOOT_INBOX_ID, and the new bot would wonder why."""
    found = problems("[[bots]]\ninboxes = [3, 4, 'web']", CHATWOOT_INBOX_ID="3")

    assert found == {
        "bots.toml:2 inboxes": "4 is not in CHATWOOT_INBOX_ID, so this bot would get "
        "no message from it; add it there, or unset CHATWOOT_INBOX_ID"
    }


def test_another_server_gets_no_key_but_the_one_named_for_it(written):
    """OpenAI's key is no business of whoever else answers."""
    settings = written(
        """
[[bots]]
inboxes = [3]
base_url = "http://127.0.0.1:11434/v1/"
[[bots]]
inboxes = [4]
base_url = "https://llm.example.com/v1"
api_key_env = "OTHER_KEY"
model = "large"
""",
        OPENAI_API_KEY="sk-openai",
        OTHER_KEY="other",
    )

    assert settings.bot_for(3).settings.llm() == (
        "http://127.0.0.1:11434/v1",
        "none",
        "gpt-6-luna",
    )
    assert settings.bot_for(4).settings.llm() == (
        "https://llm.example.com/v1",
        "other",
        "large",
    )


def test_prompt_of_either_kind_goes_before_the_environments(written, tmp_path):
    (tmp_path / "env.txt").write_text("the environment's")
    (tmp_path / "bob.txt").write_text("Bob's\n")
    settings = written(
        "[[bots]]\ninboxes = [3]\nprompt = 'I am Ada'\n"
        "[[bots]]\ninboxes = [4]\nprompt_file = 'bob.txt'\nlanguages = ['de', 'en']\n"
        "[[bots]]\ninboxes = [5]",
        SYSTEM_PROMPT_FILE="env.txt",
    )

    assert settings.bot_for(3).prompt() == "I am Ada"
    assert settings.bot_for(4).prompt().startswith("Bob's\n\nAnswer in no other lang")
    assert settings.bot_for(4).prompt().endswith("is answered in de.")
    assert settings.bot_for(5).prompt() == "the environment's"


def test_bots_own_way_to_book_goes_before_the_environments(written):
    settings = written(
        "[[bots]]\ninboxes = [3]\nbooking_url = 'https://cal.com/ada/call'\n"
        "[[bots]]\ninboxes = [4]\ncalcom_event_type = 8\n"
        "[[bots]]\ninboxes = [5]",
        CALCOM_API_KEY="cal_key",
        CALCOM_EVENT_TYPE_ID="7",
    )
    ways = [settings.bot_for(inbox).settings for inbox in (3, 4, 5)]

    assert [bot.booking for bot in ways] == ["link", "calcom", "calcom"]
    assert [bot.calcom_event_type_id for bot in ways] == [None, 8, 7]


def test_event_type_of_a_bot_needs_the_key(problems):
    found = problems("[[bots]]\ncalcom_event_type = 8")

    assert found == {
        "bots.toml:2 calcom_event_type": "needs CALCOM_API_KEY in the environment"
    }


def test_rules_are_read_as_written(written):
    settings = written(
        """
[[bots]]
business_hours = "Mon-Fri 09:00-17:00"
[[bots.handoff.rules]]
because = "Money\\nmatters."
says = ["refund*"]
hours = "inside"
[[bots.handoff.rules]]
labels = ["VIP"]
attributes = { plan = "Gold", paid = true }
[[bots.handoff.rules]]
first_message = true
"""
    )

    assert settings.bots[0].rules == (
        Rule(because="Money matters.", says=("refund*",), hours=When.INSIDE),
        Rule(
            because="labels: VIP; attributes: plan = Gold or paid = true",
            labels=("label vip",),
            attributes=("attribute plan=gold", "attribute paid=true"),
        ),
        Rule(because="first message", first_message=True),
    )


def test_every_key_stands_in_for_a_setting():
    assert KEYS.keys() <= Settings.model_fields.keys()


def test_example_is_right_and_shows_every_key():
    """What an operator copies works, and hides nothing."""
    names = {"BOTS_FILE": str(EXAMPLE), "BOB_TOKEN": "t", "BOB_SECRET": "x" * 24}
    settings = Settings.load(names)
    text = EXAMPLE.read_text()

    assert [bot.inboxes for bot in settings.bots] == [(), (3, "web"), (4,)]
    assert all(f"{key[-1]} = " in text for key in KEYS.values())
    assert all(f"{name} = " in text for name in ("inboxes", "languages", "because"))
    assert all(f"\n{name} = " in text for name in Rule.__dataclass_fields__)
    [bob] = [bot for bot in settings.bots if bot.inboxes == (4,)]
    assert [each.name for each in bob.endpoints] == ["find_order", "return_order"]
    assert all(name in text for name in HttpTool.model_fields)


def test_line_of_every_key_of_the_example_shows_the_key():
    text = EXAMPLE.read_text()
    source = Source(EXAMPLE, text)

    def keys(content, above=()):
        for name, value in content.items():
            yield (*above, name)
            tables = value if isinstance(value, list) else [value]
            for number, table in enumerate(tables):
                if isinstance(table, dict):
                    part = (number,) if isinstance(value, list) else ()
                    yield from keys(table, (*above, name, *part))

    found = list(keys(tomllib.loads(text)))

    assert len(found) > 30
    for key in found:
        assert str(key[-1]) in text.splitlines()[source.line(key) - 1]


def test_line_is_that_of_the_statement():
    """Also behind texts and lists over many lines, and comments that look like keys."""
    text = (
        'a = """\n[b]\nc = 1\n"""\n'  # 1 to 4
        "# b.c = 2\n"
        "\n"
        "[b]\n"  # 7
        "c = [\n  1,\n\n  2, # d = 3\n]\n"  # 8 to 12
        "d.e = 1\n"  # 13
        "[[f]]\n[[f]]\nx = 1\n"  # 14 to 16
    )
    source = Source(Path("x"), text)
    keys = [("a",), ("b",), ("b", "c"), ("b", "c", 1), ("b", "d", "e"), ("f", 1)]

    assert tomllib.loads(text)
    assert [source.line(key) for key in keys] == [1, 7, 8, 8, 13, 15]
    assert source.line(("f", 1, "x")) == 16
    assert source.line(("f", 0, "gone")) == 14


A, B = "ada-of-24-characters-xxx", "bob-of-24-characters-xxx"
CHATWOOT = {
    "CHATWOOT_BASE_URL": "http://chat.example.com",
    "RESPONDER": "mock",
    "A": A,
    "B": B,
}
OF_ITS_OWN = "[[bots]]\ninboxes = [{}]\ntoken_env = '{}'\nsecret_env = '{}'\n"


def test_bots_with_tokens_and_secrets_of_their_own_need_no_others(written):
    """The environment's would stand in for nothing."""
    text = OF_ITS_OWN.format(3, "A", "A") + OF_ITS_OWN.format(4, "B", "B")

    settings = written(text, **CHATWOOT)

    others, ada, bob = settings.bots
    tokens = [bot.settings.chatwoot_api_token for bot in (ada, bob)]
    assert [token.get_secret_value() for token in tokens] == [A, B]
    secrets = settings.chatwoot_webhook_secret
    assert {secret.get_secret_value() for secret in secrets} == {A, B}
    # What is left of an inbox without a bot is told to Chatwoot all the same.
    assert others.settings.chatwoot_api_token == tokens[0]


def test_bot_of_the_page_needs_no_token(written):
    text = OF_ITS_OWN.format(3, "A", "A") + "[[bots]]\ninboxes = ['web']\n"

    assert written(text, **CHATWOOT).serves(3)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (OF_ITS_OWN.format(3, "A", "A") + "[[bots]]", {"CHATWOOT_API_TOKEN"}),
        ("[[bots]]\ntoken_env = 'A'", {"CHATWOOT_WEBHOOK_SECRET"}),
        (
            "[[bots]]\ninboxes = ['web']",
            {"CHATWOOT_API_TOKEN", "CHATWOOT_WEBHOOK_SECRET"},
        ),
    ],
    ids=["token", "secret", "both"],
)
def test_what_no_bot_of_the_file_has_is_asked_of_the_environment(
    problems, text, missing
):
    assert set(problems(text, **CHATWOOT)) == missing


def test_no_keywords_at_all_are_a_choice(written):
    """Left out they are the built-in ones; an empty list says none."""
    text = "[[bots]]\ninboxes = [3]\n[bots.handoff]\nkeywords = []\n[[bots]]\n"

    known = rules(written(text))

    assert known.serving(3).policy.wishes is None
    assert not asks_for_human("A human, please", known.serving(3).policy)
    assert asks_for_human("A human, please", known.serving(4).policy)
