"""The environment, read once: what is refused, what is kept secret, what is meant."""

import traceback

import pytest

from chatwoot_bot.core.events import Event, Kind, Sighting
from chatwoot_bot.errors import SettingsError
from chatwoot_bot.presets import (
    GROQ_BASE_URL,
    GROQ_MODEL,
    GROQ_TRANSCRIPTION_MODEL,
)
from chatwoot_bot.settings import (
    DEFAULT_PROMPT,
    Settings,
)

# The public contract: other people's scripts and files use these names.
CONTRACT = """
HOST PORT PUBLIC_URL DATABASE_URL DATABASE_LISTEN_URL ADMIN_TOKEN SECRET_KEY
CORS_ORIGINS MAX_BODY_BYTES LOG_LEVEL LOG_FORMAT
CHATWOOT_BASE_URL CHATWOOT_API_TOKEN CHATWOOT_USER_TOKEN CHATWOOT_ACCOUNT_ID
CHATWOOT_INBOX_ID CHATWOOT_WEBHOOK_SECRET CHATWOOT_ALLOW_UNSIGNED
OPENAI_API_KEY OPENAI_BASE_URL OPENAI_MODEL GROQ_API_KEY OPENROUTER_API_KEY
OLLAMA_MODEL LLM_TIMEOUT_SECONDS LLM_FALLBACK RESPONDER LLM_FIRST_TOKEN_SECONDS
LLM_TEMPERATURE LLM_MAX_TOKENS LLM_EXTRA_BODY OPENAI_REASONING_EFFORT
LLM_CONCURRENT_REQUESTS
EMBEDDING_BASE_URL EMBEDDING_API_KEY EMBEDDING_QUERY_PREFIX EMBEDDING_DOCUMENT_PREFIX
OPENAI_FALLBACK_API_KEY OPENAI_FALLBACK_BASE_URL OPENAI_FALLBACK_MODEL
TRANSCRIPTION_MODEL MEDIA_MAX_BYTES MEDIA_HOSTS IGNORE_CONTACTS AGENTS_LANGUAGE
BOT_NAME COMPANY_NAME SYSTEM_PROMPT SYSTEM_PROMPT_FILE
QUIET_SECONDS MAX_WAIT_SECONDS
HISTORY_MESSAGES MAX_CONCURRENT_TURNS MAX_BOT_TURNS DELIVERY_DEADLINE_HOURS
ANSWER_DEADLINE_SECONDS VERIFY_BEFORE_REPLY SWEEP_INTERVAL_SECONDS RECOVER SHADOW
HANDOFF_MESSAGE HANDOFF_TEAM_ID HANDOFF_ASSIGNEE_ID HANDOFF_PRIORITY HANDOFF_LABELS
HANDOFF_ATTRIBUTES HANDOFF_KEYWORDS BUSINESS_HOURS TIMEZONE
BOT_COMMAND BOT_OFF_LABEL BOT_SWITCH_ATTRIBUTE
BOOKING_URL CALCOM_API_KEY CALCOM_EVENT_TYPE_ID CALCOM_BASE_URL
BOOKING_HOURS BOOKING_MINUTES BOOKING_NOTICE_HOURS BOOKING_DAYS_AHEAD
BOT_RULES HISTORY_TOKENS CONTACT_ATTRIBUTES REMEMBER_CONTACTS
CONTACT_MESSAGES_PER_HOUR MAX_COST_PER_CONVERSATION MAX_COST_PER_DAY PRICES_FILE
KNOWLEDGE_DIR EMBEDDING_MODEL TOOLS TOOL_LABELS BOTS_FILE
"""
NAMES = CONTRACT.split()

CONNECTED = {
    "CHATWOOT_BASE_URL": "https://chat.example.com",
    "CHATWOOT_API_TOKEN": "bot-token",
    "CHATWOOT_WEBHOOK_SECRET": "the-webhooks-secret",
    "RESPONDER": "mock",
}


def load(**environ):
    return Settings.load(environ)


def problems(**environ):
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    return caught.value.problems


def secret(value):
    return value.get_secret_value()


def test_every_name_of_the_contract_is_a_setting_and_no_other():
    """An `.env` that worked yesterday is not silently ignored tomorrow."""
    assert {name.upper() for name in Settings.model_fields} == set(NAMES)


def test_nothing_has_to_be_set():
    """The demo runs without a key, a token or a database server."""
    settings = load()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert secret(settings.database_url) == "sqlite:///chatwoot_bot.db"
    assert settings.openai_model == "gpt-6-luna"
    assert (settings.quiet_seconds, settings.max_wait_seconds) == (1.5, 10.0)
    assert settings.max_body_bytes == 1024**2
    assert (settings.history_messages, settings.max_concurrent_turns) == (40, 200)
    assert settings.max_bot_turns == 0
    assert not settings.chatwoot_configured
    assert not settings.signature_required
    assert settings.responder_name == "mock"


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_empty_counts_as_not_set(empty):
    """`.env.example` is copied with its empty lines."""
    settings = Settings.load(dict.fromkeys(NAMES, empty))

    assert settings == load()


def test_white_space_around_a_value_is_cut_off():
    """A secret mounted as a file ends with a line break, and no header takes one."""
    settings = load(PORT=" 9000 ", OPENAI_API_KEY="key\n", CHATWOOT_ALLOW_UNSIGNED=" 1")

    assert settings.port == 9000
    assert secret(settings.openai_api_key) == "key"
    assert settings.chatwoot_allow_unsigned


def test_names_are_read_in_any_case_and_strangers_ignored():
    """The environment holds much that is not ours."""
    assert load(port="9000", PATH="/bin", PORTS="1").port == 9000


def test_settings_cannot_be_changed():
    """What was checked at start-up is what runs."""
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1


# Lists.


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CHATWOOT_INBOX_ID", "3", (3,)),
        ("CHATWOOT_INBOX_ID", "3, 5,,9,", (3, 5, 9)),
        ("CORS_ORIGINS", "https://a.example , https://b.example", ("a", "b")),
        ("HANDOFF_LABELS", "bot,vip ", ("bot", "vip")),
        ("HANDOFF_ATTRIBUTES", "a=b, c = d=e", (("a", "b"), ("c", "d=e"))),
        ("BUSINESS_HOURS", "Mon-Fri 09:00-17:00", "Mon-Fri 09:00-17:00"),
        ("HANDOFF_KEYWORDS", "human, real person ", ("human", "real person")),
        ("HANDOFF_KEYWORDS", ",", ()),
    ],
)
def test_lists_are_separated_by_commas(name, value, expected):
    """Spaces and a comma too many are nobody's intention."""
    given = getattr(load(**{name: value}), name.lower())

    if name == "CORS_ORIGINS":
        given = tuple(o.removeprefix("https://").partition(".")[0] for o in given)
    assert given == expected


def test_lists_may_be_lists_in_code():
    """Tests and scripts build settings without writing commas."""
    settings = Settings.model_validate({"chatwoot_inbox_id": [3, 5]})

    assert settings.chatwoot_inbox_id == (3, 5)


def test_several_webhook_secrets():
    """A bot, a webhook and an API inbox share one URL, each with its own secret."""
    one, two = "one-of-24-characters-xxx", "two-of-24-characters-xxx"
    settings = load(**CONNECTED | {"CHATWOOT_WEBHOOK_SECRET": f"{one}, {two}"})

    assert [secret(s) for s in settings.chatwoot_webhook_secret] == [one, two]
    assert settings.signature_required


# What is refused.


def test_all_problems_are_told_at_once():
    """The operator mends the file once, not once per start."""
    told = problems(
        PORT="eighty",
        LOG_LEVEL="LOUD",
        TIMEZONE="Berlin",
        CHATWOOT_BASE_URL="chat.example.com",
        RESPONDER="gpt",
        SYSTEM_PROMPT_FILE="/nowhere/prompt.md",
        CHATWOOT_INBOX_ID="3,website",
        VERIFY_BEFORE_REPLY="perhaps",
    )

    assert set(told) == {
        "PORT",
        "LOG_LEVEL",
        "TIMEZONE",
        "CHATWOOT_BASE_URL",
        "CHATWOOT_API_TOKEN",
        "CHATWOOT_WEBHOOK_SECRET",
        "RESPONDER",
        "SYSTEM_PROMPT_FILE",
        "CHATWOOT_INBOX_ID",
        "VERIFY_BEFORE_REPLY",
    }


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PORT", "-1", "greater than or equal to 0"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("MAX_BODY_BYTES", "100", "greater than or equal to 1024"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("LLM_FALLBACK", "silence", "'handoff' or 'mock'"),
        ("LLM_TIMEOUT_SECONDS", "0", "greater than 0"),
        ("LLM_TIMEOUT_SECONDS", "nan", "less than or equal to 86400"),
        ("LLM_FIRST_TOKEN_SECONDS", "0", "greater than 0"),
        ("LLM_TEMPERATURE", "2.5", "less than or equal to 2"),
        ("LLM_TEMPERATURE", "nan", "less than or equal to 2"),
        ("LLM_MAX_TOKENS", "-1", "greater than or equal to 0"),
        ("LLM_CONCURRENT_REQUESTS", "-1", "greater than or equal to 0"),
        ("LLM_EXTRA_BODY", "top_p=0.9", "must be a JSON object"),
        ("LLM_EXTRA_BODY", "[1]", "must be a JSON object"),
        ("LLM_EXTRA_BODY", "[" * 10_000, "must be a JSON object"),
        ("LLM_EXTRA_BODY", '{"messages": []}', "must not contain messages"),
        ("OPENAI_REASONING_EFFORT", "very high", "match pattern"),
        ("QUIET_SECONDS", "-1", "greater than or equal to 0"),
        ("MAX_WAIT_SECONDS", "inf", "less than or equal to 3600"),
        ("HISTORY_MESSAGES", "0", "greater than or equal to 1"),
        ("CHATWOOT_ACCOUNT_ID", "0", "greater than or equal to 1"),
        ("BOT_NAME", "x" * 81, "at most 80 characters"),
        ("TIMEZONE", "../../etc/passwd", "Europe/Berlin"),
        ("DATABASE_URL", "mysql://localhost/bot", "sqlite:///"),
        ("ADMIN_TOKEN", ",", "at least one value"),
        ("SECRET_KEY", "a-key-that-is-long-enough,short", "16 characters each"),
        ("DATABASE_LISTEN_URL", "sqlite:///bot.db", "postgresql://"),
        ("DATABASE_URL", "sqlite:///", "must name a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "must name a file"),
        ("OPENAI_BASE_URL", "ftp://llm.example", "https://chat.example.com"),
        ("OPENAI_BASE_URL", "https://", "https://chat.example.com"),
        ("OPENAI_BASE_URL", "https://llm.example:port", "https://chat.example.com"),
        ("OPENAI_BASE_URL", "http://[::1", "https://chat.example.com"),
        ("BOOKING_URL", "https://" + "x" * 70_000, "https://chat.example.com"),
        ("RESPONDER", "OpenAI", "mock, openai, package.module:Name"),
    ],
    ids=lambda value: value[:30],
)
def test_a_wrong_value_is_refused_in_words_that_help(name, value, told):
    """The message says what would be right."""
    found = problems(**{name: value})

    assert set(found) == {name}
    assert told in found[name]


@pytest.mark.parametrize(
    "url", ["https://chat.example.com/", "https://chat.example.com"]
)
def test_a_slash_at_the_end_of_a_url_does_not_matter(url):
    """Copied from the browser it has one."""
    settings = load(**CONNECTED | {"CHATWOOT_BASE_URL": url})

    assert settings.chatwoot_base_url == "https://chat.example.com"


@pytest.mark.parametrize("secret_", [None, "", ",", " , "])
@pytest.mark.parametrize("unsigned", [None, "", "false", "0", "off", "no"])
def test_chatwoot_without_a_secret_is_refused(secret_, unsigned):
    """Or anyone could forge contacts' messages; a lone comma is not a secret."""
    environ = CONNECTED | {
        "CHATWOOT_WEBHOOK_SECRET": secret_,
        "CHATWOOT_ALLOW_UNSIGNED": unsigned,
    }
    told = problems(**{n: v for n, v in environ.items() if v is not None})

    assert set(told) == {"CHATWOOT_WEBHOOK_SECRET"}
    assert "CHATWOOT_ALLOW_UNSIGNED=true" in told["CHATWOOT_WEBHOOK_SECRET"]


OURS = ("ADMIN_TOKEN", "SECRET_KEY", "CHATWOOT_WEBHOOK_SECRET")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("value", ["q7z", "fifteen-letters"])
def test_secret_that_can_be_guessed_is_refused(name, value):
    """And the message says how to make one that cannot."""
    told = problems(**{name: value})

    assert set(told) == {name}
    assert "at least 16 characters" in told[name]
    assert 'python -c "import secrets; print(secrets.token_urlsafe(32))"' in told[name]
    assert value not in told[name]


@pytest.mark.parametrize("name", OURS)
def test_sixteen_characters_are_enough(name):
    load(**{name: "sixteen-letters!"})


def test_each_of_several_secrets_has_to_be_long():
    secrets = "a-secret-of-24-characters,short"

    assert set(problems(CHATWOOT_WEBHOOK_SECRET=secrets)) == {"CHATWOOT_WEBHOOK_SECRET"}


@pytest.mark.parametrize(
    ("environ", "public"),
    [
        ({}, False),
        ({"ADMIN_TOKEN": "the-operators-token"}, False),
        ({"HOST": "0.0.0.0"}, False),
        ({"PUBLIC_URL": "https://bot.example.com"}, True),
        ({"CORS_ORIGINS": "https://shop.example.com"}, True),
        (CONNECTED, True),
    ],
)
def test_what_makes_a_service_public(environ, public):
    assert load(**environ).is_public is public


@pytest.mark.parametrize("yes", ["true", "TRUE", "1", "yes", "on", "t", "Y"])
def test_unsigned_chatwoot_is_somebodys_choice(yes):
    """Releases before 4.13 do not sign."""
    environ = CONNECTED | {
        "CHATWOOT_WEBHOOK_SECRET": "",
        "CHATWOOT_ALLOW_UNSIGNED": yes,
    }
    settings = load(**environ)

    assert settings.chatwoot_configured
    assert not settings.signature_required


def test_secret_and_unsigned_together_take_both():
    """While Chatwoot is being upgraded some deliveries are signed and some not."""
    settings = load(**CONNECTED, CHATWOOT_ALLOW_UNSIGNED="true")

    assert settings.chatwoot_webhook_secret
    assert not settings.signature_required


def test_chatwoot_without_a_token_is_refused():
    """A bot that can listen and not speak is found out at start-up."""
    told = problems(**CONNECTED | {"CHATWOOT_API_TOKEN": ""})

    assert set(told) == {"CHATWOOT_API_TOKEN"}


def test_openai_without_key_or_server_is_refused():
    """Asked for by name, it must not become the mock in silence."""
    told = problems(RESPONDER="openai")

    assert set(told) == {"OPENAI_API_KEY"}
    assert "OPENAI_BASE_URL" in told["OPENAI_API_KEY"]


# Secrets.

SECRETS = [
    name.upper()
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation)
]


def test_everything_that_sounds_secret_is_a_secret():
    """A new key must not appear in logs because nobody thought of it."""
    sounds = ("_KEY", "_TOKEN", "_SECRET", "DATABASE_URL", "LISTEN_URL")

    assert [n for n in NAMES if n.endswith(sounds)] == [
        n for n in NAMES if n in SECRETS
    ]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bot:hush@ss:w0rd@db/bot",
        "postgresql://bot:hush@w0rd@db/bot",
        "postgres://bot:hush@w0rd/12@db:5432/bot",
        "postgresql://bot:w0rd@db:hush/bot",
    ],
)
def test_database_url_that_is_none_is_refused_without_a_part_of_it(url):
    """A password with an @ would be looked up as a host, and shown in the error."""
    with pytest.raises(SettingsError) as caught:
        load(DATABASE_URL=url)

    shown = "".join(traceback.format_exception(caught.value))
    assert "hush" not in shown
    assert "w0rd" not in shown
    assert "%40 %3A %2F %23" in caught.value.problems["DATABASE_URL"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bot:p%40ss%3Aword@db:5432/bot",
        "postgresql://bot@tenant:password@db/bot",
        "postgresql:///bot?host=/var/run/postgresql",
        "postgresql://bot:password@[::1]:5432/bot?sslmode=require",
        "sqlite:////var/lib/bot@home/bot.db",
    ],
)
def test_database_url_may_be_any_that_leads_somewhere(url):
    assert secret(load(DATABASE_URL=url).database_url) == url


def test_no_repr_holds_a_secret():
    """Settings are printed when somebody debugs."""
    settings = Settings.load(
        dict.fromkeys(SECRETS, "hush-hush-hush-hush")
        | {
            "DATABASE_URL": "postgresql://bot:hush-hush@db/bot",
            "DATABASE_LISTEN_URL": "postgresql://bot:hush-hush@db/bot",
            "CALCOM_EVENT_TYPE_ID": "1",
        }
    )

    told = (
        f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    )

    assert "hush" not in told
    assert secret(settings.database_url) == "postgresql://bot:hush-hush@db/bot"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://bot:hush-hush@db/bot"),
        ("CHATWOOT_API_TOKEN", "hush hush"),
        ("CHATWOOT_API_TOKEN", "“hush-hush”"),
        ("CHATWOOT_USER_TOKEN", "hush\x00hush"),
        ("OPENAI_API_KEY", "hush\nhush"),
        ("OPENAI_API_KEY", "hush\udcff"),
        ("GROQ_API_KEY", "hush-hush…"),
        ("OPENROUTER_API_KEY", "hush-hush…"),
        ("PORT", "hush-hush"),
        ("RESPONDER", "hush-hush"),
        ("OPENAI_BASE_URL", "hush-hush"),
        ("OPENAI_BASE_URL", "https://hush-hush:hush"),
        ("CHATWOOT_INBOX_ID", "1,hush-hush"),
        ("SYSTEM_PROMPT_FILE", "hush-hush"),
    ],
)
def test_no_complaint_holds_the_value(name, value):
    """Keys get pasted into the wrong line, and start-up errors into tickets."""
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert name in told
    assert "hush" not in told


@pytest.mark.parametrize("value", [1234, ["hush-hush"], {"hush": "hush"}, b"\xffhush"])
def test_secret_of_a_wrong_type_is_not_told_either(value):
    """Whoever builds settings in code reads the same careful words."""
    with pytest.raises(ValueError, match="admin_token") as caught:
        Settings.model_validate({"admin_token": value})

    assert "hush" not in str(caught.value)
    assert "1234" not in str(caught.value)


# `.env`.


@pytest.fixture
def env_file(tmp_path):
    path = tmp_path / ".env"
    path.write_text(
        "# a comment\n"
        "PORT=9000\n"
        'BOT_NAME="Ada Lovelace"\n'
        "OPENAI_MODEL=\n"
        "export LOG_LEVEL=DEBUG\n"
        "BARE\n"
    )
    return path


def test_env_file_is_read(env_file):
    """Comments, quotes, empty lines and `export`, as people write them."""
    settings = Settings.load({}, env_file=env_file)

    assert (settings.port, settings.bot_name) == (9000, "Ada Lovelace")
    assert (settings.openai_model, settings.log_level) == ("gpt-6-luna", "DEBUG")


@pytest.mark.parametrize("name", ["PORT", "port"])
def test_environment_goes_before_the_env_file(env_file, name):
    """What the container sets is meant for this start."""
    settings = Settings.load({name: "9001"}, env_file=env_file)

    assert (settings.port, settings.bot_name) == (9001, "Ada Lovelace")


def test_empty_environment_leaves_it_to_the_env_file(env_file):
    """A compose file passes `PORT=${PORT}` on, set or not."""
    assert Settings.load({"PORT": ""}, env_file=env_file).port == 9000


def test_missing_env_file_is_none(tmp_path):
    """The file is a convenience, not a duty."""
    assert Settings.load({}, env_file=tmp_path / ".env") == load()


# What is meant.


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "mock"),
        ({"OPENAI_API_KEY": "k"}, "openai"),
        ({"GROQ_API_KEY": "k"}, "openai"),
        ({"OPENAI_BASE_URL": "http://localhost:11434/v1"}, "openai"),
        ({"OPENAI_API_KEY": "k", "RESPONDER": "mock"}, "mock"),
        ({"GROQ_API_KEY": "k", "RESPONDER": "openai"}, "openai"),
        ({"RESPONDER": "mock"}, "mock"),
        ({"OPENAI_MODEL": "gpt-4o"}, "mock"),
        ({"OPENAI_FALLBACK_API_KEY": "k"}, "mock"),
        ({"OPENROUTER_API_KEY": "k"}, "openai"),
        ({"OLLAMA_MODEL": "llama3.2"}, "openai"),
        ({"OLLAMA_MODEL": "llama3.2", "RESPONDER": "openai"}, "openai"),
        ({"RESPONDER": "shop.answers:Answers"}, "shop.answers:Answers"),
    ],
)
def test_which_responder_answers(environ, name):
    """A key is enough to switch the model on, and one word to switch it off."""
    assert load(**environ).responder_name == name


LOCAL = "http://localhost:11434/v1"
OLLAMA = "http://127.0.0.1:11434/v1"
OURS = "gpt-6-luna"


@pytest.mark.parametrize(
    ("environ", "llm"),
    [
        ({"OPENAI_API_KEY": "o"}, (None, "o", "gpt-6-luna")),
        ({"OPENAI_API_KEY": "o", "OPENAI_MODEL": "m"}, (None, "o", "m")),
        ({"OPENAI_BASE_URL": LOCAL, "OPENAI_MODEL": "m"}, (LOCAL, "none", "m")),
        (
            {"OPENAI_BASE_URL": LOCAL, "OPENAI_API_KEY": "o"},
            (LOCAL, "o", "gpt-6-luna"),
        ),
        ({"GROQ_API_KEY": "g"}, (GROQ_BASE_URL, "g", GROQ_MODEL)),
        ({"GROQ_API_KEY": "g", "OPENAI_MODEL": "m"}, (GROQ_BASE_URL, "g", "m")),
        # OpenAI's key wins.
        ({"GROQ_API_KEY": "g", "OPENAI_API_KEY": "o"}, (None, "o", "gpt-6-luna")),
        # Groq's key is for Groq and for nobody else.
        (
            {"GROQ_API_KEY": "g", "OPENAI_BASE_URL": LOCAL},
            (LOCAL, "none", "gpt-6-luna"),
        ),
        # The default of OpenAI's, copied along with .env.example; an older one too.
        (
            {"GROQ_API_KEY": "g", "OPENAI_MODEL": "gpt-6-luna"},
            (GROQ_BASE_URL, "g", GROQ_MODEL),
        ),
        (
            {"GROQ_API_KEY": "g", "OPENAI_MODEL": "gpt-4o-mini"},
            (GROQ_BASE_URL, "g", GROQ_MODEL),
        ),
        ({"OPENAI_API_KEY": "o", "OPENAI_MODEL": "gpt-4o"}, (None, "o", "gpt-4o")),
        (
            {"OPENROUTER_API_KEY": "r"},
            ("https://openrouter.ai/api/v1", "r", "openai/gpt-6-luna"),
        ),
        ({"OPENROUTER_API_KEY": "r", "OPENAI_API_KEY": "o"}, (None, "o", OURS)),
        (
            {"OPENROUTER_API_KEY": "r", "OPENAI_BASE_URL": LOCAL},
            (LOCAL, "none", OURS),
        ),
        ({"OLLAMA_MODEL": "l"}, ("http://127.0.0.1:11434/v1", "none", "l")),
        ({"OLLAMA_MODEL": "l", "OPENAI_MODEL": "m"}, (OLLAMA, "none", "m")),
        (
            {"OLLAMA_MODEL": "l", "OPENAI_BASE_URL": "http://gpu:11434/v1"},
            ("http://gpu:11434/v1", "none", "l"),
        ),
        ({"OLLAMA_MODEL": "l", "OPENAI_API_KEY": "o"}, (None, "o", OURS)),
        (
            {"OLLAMA_MODEL": "l", "GROQ_API_KEY": "g"},
            (GROQ_BASE_URL, "g", GROQ_MODEL),
        ),
    ],
)
def test_which_model_is_asked(environ, llm):
    """A key never goes to another company's server."""
    assert load(**environ).llm() == llm


@pytest.mark.parametrize(
    ("environ", "second"),
    [
        ({"OPENAI_API_KEY": "o"}, None),
        ({"OPENAI_FALLBACK_API_KEY": "f"}, None),
        ({"OPENAI_API_KEY": "o", "OPENAI_FALLBACK_MODEL": "m"}, (None, "o", "m")),
        ({"GROQ_API_KEY": "g", "OPENAI_FALLBACK_API_KEY": "f"}, (None, "f", OURS)),
        (
            {"OPENAI_API_KEY": "o", "OPENAI_FALLBACK_BASE_URL": LOCAL},
            (LOCAL, "none", OURS),
        ),
        (
            {"RESPONDER": "shop:Answers", "OPENAI_FALLBACK_API_KEY": "f"},
            (None, "f", OURS),
        ),
        ({"RESPONDER": "shop:Answers", "OPENAI_FALLBACK_MODEL": "m"}, None),
    ],
)
def test_who_is_asked_when_the_first_fails(environ, second):
    """No key goes to the other's server; a model alone is the same server's."""
    assert load(**environ).second_llm() == second


@pytest.mark.parametrize(
    "name", ["opanai", "shop", "shop:", ":Answers", "langgraph:shop", "shop.a:b:c"]
)
def test_responder_that_names_nothing_is_refused(name):
    assert "package.module:Name" in problems(RESPONDER=name)["RESPONDER"]


@pytest.mark.parametrize(
    ("environ", "fallback"),
    [
        ({}, "mock"),
        (CONNECTED, "handoff"),
        (CONNECTED | {"LLM_FALLBACK": "mock"}, "mock"),
        ({"LLM_FALLBACK": "handoff"}, "handoff"),
    ],
)
def test_what_answers_when_the_model_does_not(environ, fallback):
    """A customer gets a human; somebody who tries the demo gets the mock."""
    assert load(**environ).fallback == fallback


def test_the_prompt_is_the_files_then_the_variables_then_our_own(tmp_path):
    """A long prompt lives in a file, a short one in the environment."""
    file = tmp_path / "prompt.md"
    file.write_text("\n Be brief, größtenteils. \n", encoding="utf-8")

    assert load(BOT_NAME="Ada").prompt() == DEFAULT_PROMPT.format(name="Ada")
    assert load(SYSTEM_PROMPT="Use {braces}.").prompt() == "Use {braces}."
    both = load(SYSTEM_PROMPT="Not me.", SYSTEM_PROMPT_FILE=str(file))
    assert both.prompt() == "Be brief, größtenteils."


CALCOM = {"CALCOM_API_KEY": "cal_key", "CALCOM_EVENT_TYPE_ID": "7"}
LINK = {"BOOKING_URL": "https://cal.com/ada/call"}
OWN = {"BOOKING_HOURS": "Mon-Fri 10:00-12:00"}


@pytest.mark.parametrize(
    ("environ", "how"),
    [
        ({}, None),
        (LINK, "link"),
        (OWN, "own"),
        (CALCOM, "calcom"),
        (LINK | OWN, "link"),
        (CALCOM | LINK | OWN, "calcom"),
        ({"BUSINESS_HOURS": "Mon-Fri 10:00-12:00"}, None),
    ],
)
def test_how_calls_are_booked(environ, how):
    assert load(**environ).booking == how


def test_calcom_needs_its_key_and_its_event_type():
    assert set(problems(CALCOM_API_KEY="k")) == {"CALCOM_EVENT_TYPE_ID"}
    assert set(problems(CALCOM_EVENT_TYPE_ID="7")) == {"CALCOM_API_KEY"}


@pytest.mark.parametrize(
    ("environ", "listens"),
    [
        ({"OPENAI_API_KEY": "k"}, (None, "k", "gpt-transcribe")),
        (
            {"OPENAI_API_KEY": "k", "TRANSCRIPTION_MODEL": "whisper-1"},
            (None, "k", "whisper-1"),
        ),
        ({"OPENAI_BASE_URL": "http://x/v1"}, ("http://x/v1", "none", "whisper-1")),
        ({"GROQ_API_KEY": "g"}, (GROQ_BASE_URL, "g", GROQ_TRANSCRIPTION_MODEL)),
        (
            {"GROQ_API_KEY": "g", "TRANSCRIPTION_MODEL": "whisper-1"},
            (GROQ_BASE_URL, "g", GROQ_TRANSCRIPTION_MODEL),
        ),
        (
            {"GROQ_API_KEY": "g", "TRANSCRIPTION_MODEL": "whisper-large-v3"},
            (GROQ_BASE_URL, "g", "whisper-large-v3"),
        ),
        ({"OPENAI_API_KEY": "k", "TRANSCRIPTION_MODEL": "None"}, None),
        # They cannot listen, and it is nobody else's business.
        ({"OPENROUTER_API_KEY": "r"}, None),
        ({"OLLAMA_MODEL": "l"}, None),
        ({"OLLAMA_MODEL": "l", "OPENAI_BASE_URL": "http://gpu/v1"}, None),
        ({"RESPONDER": "shop:Answers"}, None),
    ],
)
def test_who_listens_to_voice_notes(environ, listens):
    """The server that also answers; "none" is for who must not send voices away."""
    assert load(**environ).transcription() == listens


@pytest.mark.parametrize(
    "value", ["http://minio:9000", "minio/files", "a b", "user@minio", ":", "minio:x"]
)
def test_host_is_no_url(value):
    """What is compared with a host must look like one."""
    assert "MEDIA_HOSTS" in problems(MEDIA_HOSTS=value)


def test_hosts_of_files():
    hosts = load(MEDIA_HOSTS="minio:9000, files.internal").media_hosts

    assert hosts == ("minio:9000", "files.internal")


@pytest.mark.parametrize("yes", ["true", "1", "ON"])
def test_shadow_is_refused_while_nothing_does_it(yes):
    """Who sets it relies on silence; the bot would answer contacts for real."""
    assert "is not supported in this release" in problems(SHADOW=yes)["SHADOW"]
    assert load(SHADOW="false").shadow is False


@pytest.mark.parametrize(
    ("quiet", "max_wait", "deadline", "refused"),
    [
        ("3600", "3600", "120", True),
        ("120", "3600", "120", True),
        ("3600", "10", "120", False),
        ("1.5", "3600", "120", False),
        ("1.5", "10", "1", True),
    ],
)
def test_wait_that_outlasts_the_patience_is_refused(quiet, max_wait, deadline, refused):
    """Every contact would read an apology."""
    environ = {
        "QUIET_SECONDS": quiet,
        "MAX_WAIT_SECONDS": max_wait,
        "ANSWER_DEADLINE_SECONDS": deadline,
    }
    if refused:
        assert "must be longer" in problems(**environ)["ANSWER_DEADLINE_SECONDS"]
    else:
        load(**environ)


@pytest.mark.parametrize(
    "name", ["BOT_COMMAND", "BOT_OFF_LABEL", "BOT_SWITCH_ATTRIBUTE"]
)
@pytest.mark.parametrize("none", ["none", "None"])
def test_each_way_in_which_agents_steer_the_bot_can_be_switched_off(name, none):
    """An empty variable is the default."""
    assert getattr(load(**{name: none}), name.lower()) == ""
    assert getattr(load(**{name: ""}), name.lower()) != ""


def test_rules_of_the_bot_are_divided_by_semicolons_and_lines():
    assert load(BOT_RULES="Be kind.; Be brief.\nBe Ada.").bot_rules == (
        "Be kind.",
        "Be brief.",
        "Be Ada.",
    )


def test_price_list_that_cannot_be_read_is_refused_at_once(tmp_path):
    wrong = tmp_path / "prices.toml"
    wrong.write_text("[models.x]\nprompt = 1")

    assert "completion" in problems(PRICES_FILE=str(wrong))["PRICES_FILE"]
    assert "cannot be read" in problems(PRICES_FILE="/nowhere")["PRICES_FILE"]


@pytest.mark.parametrize("name", ["CHATWOOT_BASE_URL", "OPENAI_BASE_URL", "PUBLIC_URL"])
def test_url_with_a_password_is_refused_without_showing_it(name):
    """Nothing that connects could use it."""
    with pytest.raises(SettingsError) as refused:
        load(**CONNECTED | {name: "https://bot:hush@chat.example.com"})

    assert "without a name and a password" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_each_bot_leaves_its_own_contacts_alone(tmp_path):
    """An event of theirs is none of the bot's business, whatever it says."""
    file = tmp_path / "bots.toml"
    file.write_text("[[bots]]\n[[bots]]\ninboxes = [4]\nignore_contacts = ['none']")
    settings = Settings.load({"BOTS_FILE": str(file), "IGNORE_CONTACTS": "+49*"})

    def event(inbox_id, *addresses):
        seen = Sighting(display_id=1, addresses=addresses)
        return Event(name="x", kind=Kind.OTHER, inbox_id=inbox_id, conversation=seen)

    assert settings.elsewhere(event(3, "1@g.us")) == "ignored_contact"
    assert settings.elsewhere(event(3, "4711", "+4930")) == "ignored_contact"
    assert settings.elsewhere(event(None, "+4930")) == "ignored_contact"
    assert settings.elsewhere(event(3, "+4830")) is None
    assert settings.elsewhere(event(4, "1@g.us")) is None
    assert settings.elsewhere(event(4)) is None


def test_language_of_the_agents_is_one_of_the_twelve():
    assert Settings.load({"AGENTS_LANGUAGE": "de"}).agents_language == "de"
    with pytest.raises(SettingsError) as caught:
        Settings.load({"AGENTS_LANGUAGE": "German"})
    assert "must be one of ar, de, en" in caught.value.problems["AGENTS_LANGUAGE"]


MODEL_IS_MISSING = "or your contacts would get the demo's text"


@pytest.mark.parametrize("value", [None, "", " "])
def test_chatwoot_without_a_model_does_not_start(value):
    """A real contact once asked a question and read a demo's canned text."""
    told = problems(**CONNECTED | {"RESPONDER": value or ""})

    assert list(told) == ["OPENAI_API_KEY"]
    assert MODEL_IS_MISSING in told["OPENAI_API_KEY"]
    assert "RESPONDER=mock" in told["OPENAI_API_KEY"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RESPONDER", "mock"),
        ("RESPONDER", "own_responder:OpeningHours"),
        ("OPENAI_API_KEY", "k"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
        ("GROQ_API_KEY", "k"),
        ("OPENROUTER_API_KEY", "k"),
        ("OLLAMA_MODEL", "llama3.2"),
    ],
)
def test_chatwoot_with_a_model_or_a_chosen_mock_starts(name, value):
    load(**CONNECTED | {"RESPONDER": ""} | {name: value})


def test_demo_needs_no_model():
    assert load().responder_name == "mock"


@pytest.mark.parametrize(
    ("bots", "starts"),
    [
        ("[[bots]]\ninboxes = [3]\nbase_url = 'http://127.0.0.1:9/v1'\n", True),
        ("[[bots]]\ninboxes = ['web']\n", True),
        ("[[bots]]\ninboxes = [3]\n", False),
        (
            "[[bots]]\ninboxes = [3]\nbase_url = 'http://127.0.0.1:9/v1'\n"
            "[[bots]]\ninboxes = [4]\n",
            False,
        ),
    ],
)
def test_each_bot_that_meets_contacts_needs_a_model(tmp_path, bots, starts):
    """One bot's model answers for no other bot."""
    file = tmp_path / "bots.toml"
    file.write_text(bots, encoding="utf-8")
    environ = CONNECTED | {"RESPONDER": "", "BOTS_FILE": str(file)}

    if starts:
        load(**environ)
    else:
        assert MODEL_IS_MISSING in problems(**environ)["OPENAI_API_KEY"]
