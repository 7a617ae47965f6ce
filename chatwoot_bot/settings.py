"""The settings of the environment and `.env`, checked once at start-up.

Every variable is a field of the same name in lower case. All problems are found in
one pass and reported together; a secret is never part of a message or a `repr`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import available_timezones

import httpx
import pydantic
from pydantic import Field, SecretStr

from .bots import KEYS, WEB, Entry, Reading
from .bots import read as read_bots
from .core.conversation import Inbox
from .core.endpoint import Endpoint
from .core.events import Event
from .core.hours import parse_hours
from .core.prompt import of_company, split_rules
from .core.rules import Rule, left_alone
from .core.slots import MAX_MINUTES
from .envfile import EnvFile
from .envfile import read as read_env_file
from .errors import SettingsError
from .language import languages
from .presets import (
    COMMON_TRANSCRIPTION_MODEL,
    OPENAI_MODEL,
    OPENAI_MODELS,
    OPENAI_TRANSCRIPTION_MODEL,
    OPENAI_TRANSCRIPTION_MODELS,
    PRESETS,
    Preset,
)
from .prices import read_prices
from .texts import text

DEFAULT_PROMPT = text("prompt")


def _commas(value: Any) -> Any:
    """Split ``a, b,c``; an empty value is an empty tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _url(value: str) -> str:
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("must be a URL such as https://chat.example.com")
    if url.userinfo:
        raise ValueError("must be a URL without a name and a password before the host")
    return value.rstrip("/")


HOST = re.compile(r"[\w.:\[\]-]+")
VISIBLE_ASCII = re.compile(r"[!-~]+")


def _host(value: str) -> str:
    try:
        url = httpx.URL(f"https://{value}")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or not HOST.fullmatch(value):
        raise ValueError("must be hosts such as minio:9000, without http://")
    return value


MIN_SECRET = 16
HOW = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


def _long(value: SecretStr) -> SecretStr:
    """Refuse a secret that is short enough to guess."""
    if len(value.get_secret_value()) < MIN_SECRET:
        raise ValueError(
            f"must have at least {MIN_SECRET} characters each; make one with: {HOW}"
        )
    return value


def _some(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Refuse a lone comma: without a token, this machine is trusted."""
    if not value:
        raise ValueError("must have at least one value")
    return value


def _signing(value: SecretStr) -> SecretStr:
    """Refuse a secret that can be guessed; Chatwoot's have 24 characters."""
    if len(value.get_secret_value()) < MIN_SECRET:
        raise ValueError(
            f"must have at least {MIN_SECRET} characters each; copy the whole secret "
            f"from Chatwoot, or, for a sender of your own, make one with: {HOW}"
        )
    return value


def _token(value: SecretStr) -> SecretStr:
    """Refuse characters that an HTTP header cannot contain, such as a curly quote."""
    if not VISIBLE_ASCII.fullmatch(value.get_secret_value()):
        raise ValueError("must be ASCII without spaces; copy it again")
    return value


def _database_url(value: SecretStr) -> SecretStr:
    schemes = ("sqlite:///", "postgresql://", "postgres://")
    if not value.get_secret_value().startswith(schemes):
        raise ValueError("must start with sqlite:///, postgresql:// or postgres://")
    # Here, because setup and simulate start sooner without SQLAlchemy.
    from .store.engine import parsed_url

    parsed_url(value.get_secret_value())
    return value


def _listen_url(value: SecretStr) -> SecretStr:
    """Accept only PostgreSQL: one process serves a SQLite file."""
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql:// or postgres://")
    return _database_url(value)


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be a name such as Europe/Berlin")
    return value


def _pairs(value: Any) -> Any:
    """Split ``a=b, c=d``."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in _commas(value)]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ValueError("must be pairs such as source=bot, language=de")
    return tuple((name.strip(), content.strip()) for name, _, content in pairs)


def _unless_none(value: str) -> str:
    """Return "" for ``none``: an empty variable would be the default."""
    return "" if value.lower() == "none" else value


def _sentences(value: Any) -> Any:
    return split_rules(value) if isinstance(value, str) else value


def _language(value: str) -> str:
    if value not in languages():
        raise ValueError(f"must be one of {', '.join(languages())}")
    return value


# The service writes them itself.
OWN_FIELDS = frozenset({"model", "messages", "tools", "tool_choice", "stream"})


def _fields(value: Any) -> Any:
    """Read a JSON object of fields that the service does not interpret."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ValueError('must be a JSON object such as {"top_p": 0.9}')
    if own := OWN_FIELDS & value.keys():
        raise ValueError(f"must not contain {', '.join(sorted(own))}")
    return value


def _hours(value: str) -> str:
    parse_hours(value, "UTC")
    return value


class Llm(NamedTuple):
    """A model behind a server.

    Attributes:
        base_url: None for OpenAI's own.
    """

    base_url: str | None
    api_key: str
    model: str


def _llm(base_url: str | None, key: SecretStr | None, model: str) -> Llm:
    # A local server takes any key, but the client wants one.
    return Llm(base_url, key.get_secret_value() if key else "none", model)


Commas = pydantic.BeforeValidator(_commas)
Url = Annotated[str, pydantic.AfterValidator(_url)]
Host = Annotated[str, pydantic.AfterValidator(_host)]
Token = Annotated[SecretStr, pydantic.AfterValidator(_token)]
# Made by the operator, and long enough not to be guessed.
Secret = Annotated[SecretStr, pydantic.AfterValidator(_long)]
Secrets = Annotated[tuple[Secret, ...], Commas, pydantic.AfterValidator(_some)]
SigningSecret = Annotated[SecretStr, pydantic.AfterValidator(_signing)]
# A name that agents use; "none" switches the feature off.
Name = Annotated[str, pydantic.AfterValidator(_unless_none)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(pydantic.BaseModel):
    """The operator's choices. `Settings.load` is the way to make one."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True
    )

    # Service
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    public_url: Url | None = None
    database_url: Annotated[SecretStr, pydantic.AfterValidator(_database_url)] = (
        SecretStr("sqlite:///chatwoot_bot.db")
    )
    database_listen_url: (
        Annotated[SecretStr, pydantic.AfterValidator(_listen_url)] | None
    ) = None
    # The first is used; the rest stay valid while secrets are rotated.
    admin_token: Secrets = ()
    secret_key: Secrets = ()
    cors_origins: Annotated[tuple[Url, ...], Commas] = ()
    max_body_bytes: int = Field(1_048_576, ge=1_024)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    # Chatwoot
    chatwoot_base_url: Url | None = None
    chatwoot_api_token: Token | None = None
    chatwoot_user_token: Token | None = None
    chatwoot_account_id: int | None = Field(None, ge=1)
    chatwoot_inbox_id: Annotated[tuple[int, ...], Commas] = ()
    chatwoot_webhook_secret: Annotated[tuple[SigningSecret, ...], Commas] = ()
    chatwoot_allow_unsigned: bool = False

    # Model
    openai_api_key: Token | None = None
    openai_base_url: Url | None = None
    openai_model: str = OPENAI_MODEL
    groq_api_key: Token | None = None
    openrouter_api_key: Token | None = None
    ollama_model: str | None = None
    llm_first_token_seconds: Seconds = 60.0
    llm_timeout_seconds: Seconds = 30.0
    llm_concurrent_requests: int = Field(0, ge=0, le=10_000)
    llm_temperature: float | None = Field(None, ge=0, le=2)
    llm_max_tokens: int = Field(800, ge=0, le=1_000_000)
    llm_extra_body: Annotated[
        dict[str, Any] | None, pydantic.BeforeValidator(_fields)
    ] = None
    openai_reasoning_effort: str | None = Field(None, pattern=r"^[a-z]{1,20}$")
    llm_fallback: Literal["handoff", "mock"] | None = None
    responder: str | None = None
    openai_fallback_api_key: Token | None = None
    openai_fallback_base_url: Url | None = None
    openai_fallback_model: str | None = None

    # What contacts send besides text
    transcription_model: str = OPENAI_TRANSCRIPTION_MODEL
    media_max_bytes: int = Field(10_485_760, ge=1_024, le=104_857_600)
    media_hosts: Annotated[tuple[Host, ...], Commas] = ()

    # The bot and its turns
    bot_name: str = Field("Assistant", min_length=1, max_length=80)
    company_name: str | None = Field(None, max_length=200)
    system_prompt: str | None = None
    system_prompt_file: Path | None = None
    bot_rules: Annotated[tuple[str, ...], pydantic.BeforeValidator(_sentences)] = ()
    contact_attributes: Annotated[tuple[str, ...], Commas] = ()
    remember_contacts: bool = False
    ignore_contacts: Annotated[tuple[str, ...], Commas] = ()
    quiet_seconds: float = Field(1.5, ge=0, le=3_600)
    max_wait_seconds: float = Field(10.0, ge=0, le=3_600)
    history_messages: int = Field(40, ge=1, le=1_000)
    history_tokens: int = Field(6_000, ge=100, le=1_000_000)
    max_concurrent_turns: int = Field(200, ge=1, le=10_000)
    max_bot_turns: int = Field(0, ge=0)
    contact_messages_per_hour: int = Field(0, ge=0, le=10_000)
    max_cost_per_conversation: Amount = 0.0
    max_cost_per_day: Amount = 0.0
    prices_file: Path | None = None
    delivery_deadline_hours: float = Field(24.0, gt=0, le=720)
    answer_deadline_seconds: Seconds = 120.0
    verify_before_reply: bool = True
    sweep_interval_seconds: float = Field(45.0, ge=0, le=86_400)
    recover: Literal["answer", "release"] = "answer"
    shadow: bool = False

    # Handover
    handoff_message: str | None = None
    handoff_team_id: int | None = Field(None, ge=1)
    handoff_assignee_id: int | None = Field(None, ge=1)
    handoff_priority: Literal["low", "medium", "high", "urgent"] | None = None
    handoff_labels: Annotated[tuple[str, ...], Commas] = ()
    handoff_attributes: Annotated[
        tuple[tuple[str, str], ...], pydantic.BeforeValidator(_pairs)
    ] = ()
    bot_command: Name = Field("/bot", pattern=r"^\S+$")
    bot_off_label: Name = "bot-off"
    bot_switch_attribute: Name = "bot"
    handoff_keywords: Annotated[tuple[str, ...], Commas] = ()
    agents_language: Annotated[str, pydantic.AfterValidator(_language)] = "en"
    business_hours: Annotated[str, pydantic.AfterValidator(_hours)] | None = None
    timezone: Annotated[str, pydantic.AfterValidator(_timezone)] = "UTC"

    # Booking and knowledge
    booking_url: Url | None = None
    calcom_api_key: Token | None = None
    calcom_event_type_id: int | None = Field(None, ge=1)
    calcom_base_url: Url = "https://api.cal.com"
    booking_hours: Annotated[str, pydantic.AfterValidator(_hours)] | None = None
    booking_minutes: int = Field(30, ge=10, le=MAX_MINUTES)
    booking_notice_hours: float = Field(2.0, ge=0, le=720)
    booking_days_ahead: int = Field(14, ge=1, le=90)
    knowledge_dir: Path | None = None
    embedding_model: str | None = None
    embedding_base_url: Url | None = None
    embedding_api_key: Token | None = None
    embedding_query_prefix: str | None = Field(None, max_length=500)
    embedding_document_prefix: str | None = Field(None, max_length=500)
    tools: Annotated[tuple[str, ...], Commas] = ()
    tool_labels: Annotated[tuple[str, ...], Commas] = ()
    bots_file: Path | None = None

    _bots: tuple["BotSettings", ...] = pydantic.PrivateAttr(())

    @classmethod
    def load(
        cls, environ: Mapping[str, str], *, env_file: Path | EnvFile | None = None
    ) -> "Settings":
        """Read the settings from *environ*, and from *env_file* what it lacks.

        An empty value counts as not set, as in `.env.example`; white space around
        a value is cut off, because mounted secrets often end with a line break.

        Raises:
            SettingsError: one or more variables are wrong; it names all of them. Or
                the file cannot be read.
        """
        if isinstance(env_file, Path):
            env_file = read_env_file(env_file)
        file = env_file.values if env_file else {}
        variables = {
            name: value.strip()
            for source in (file, environ)
            for name, value in source.items()
            if value and value.strip()
        }
        given = {name.lower(): value for name, value in variables.items()}
        given = {name: given[name] for name in cls.model_fields if name in given}
        settings, wrong = cls._checked(given)
        problems = {name.upper(): problem for name, problem in wrong.items()}
        problems |= dict((*_conflicts(given), *_unreadable(given)))
        if settings is not None:
            problems |= dict(_impatient(settings))
        if "bots_file" in given:
            reading = read_bots(Path(given["bots_file"]), variables)
            settings = settings and settings._with_bots(reading, given)
            problems |= dict(_disconnected(given, reading.entries))
            problems |= dict(_without_model(given, reading.entries))
            problems |= reading.problems
        else:
            problems |= dict(_disconnected(given, ()))
            problems |= dict(_without_model(given, ()))
        if problems or settings is None:
            raise SettingsError(problems)
        return settings

    @classmethod
    def _checked(
        cls, given: Mapping[str, Any]
    ) -> tuple["Settings | None", dict[str, str]]:
        """Return the settings, or None and what is wrong: field → problem."""
        try:
            return cls.model_validate(given), {}
        except pydantic.ValidationError as error:
            items = error.errors(include_input=False, include_url=False)
        said = {str(i["loc"][0]): i["msg"].removeprefix("Value error, ") for i in items}
        return None, said

    def _with_bots(self, reading: Reading, given: Mapping[str, Any]) -> "Settings":
        """Return the settings with the bots of `BOTS_FILE`; problems go to *reading*.

        Settings that a bot omits are inherited from the environment, *given*.
        """
        made = [
            bot
            for entry in reading.entries
            if (bot := self._bot(entry, reading, given)) is not None
        ]
        secrets = [
            secret for bot in made for secret in bot.settings.chatwoot_webhook_secret
        ]
        # Without duplicates, and the service's own first.
        known = dict.fromkeys([*self.chatwoot_webhook_secret, *secrets])
        tokens = [self.chatwoot_api_token]
        tokens += [bot.settings.chatwoot_api_token for bot in made]
        ours = {
            "chatwoot_webhook_secret": tuple(known),
            # The token of any bot works in its whole account.
            "chatwoot_api_token": next(filter(None, tokens), None),
        }
        settings = self.model_copy(update=ours)
        if not any(bot.inboxes == () for bot in made):
            others = settings.model_copy()
            made.append(BotSettings(settings=others, rules=(NOBODYS,)))
        made.sort(key=lambda bot: bool(bot.inboxes))
        settings._bots = tuple(made)
        return settings

    def _bot(
        self, entry: Entry, reading: Reading, given: Mapping[str, Any]
    ) -> "BotSettings | None":
        settings, wrong = self._checked({**given, **entry.settings})
        for name, problem in wrong.items():
            reading.refuse((*entry.key, *KEYS[name]), problem)
        for inbox in entry.inboxes:
            if not self._listens_to(inbox):
                reading.refuse(
                    (*entry.key, "inboxes"),
                    f"{inbox} is not in CHATWOOT_INBOX_ID, so this bot would get "
                    "no message from it; add it there, or unset CHATWOOT_INBOX_ID",
                )
        if settings is None:
            return None
        own_type = entry.settings.get("calcom_event_type_id")
        if own_type is not None and settings.calcom_api_key is None:
            key = (*entry.key, *KEYS["calcom_event_type_id"])
            reading.refuse(key, "needs CALCOM_API_KEY in the environment")
        for number, rule in enumerate(entry.rules):
            if rule.hours is not None and settings.business_hours is None:
                reading.refuse(
                    (*entry.key, "handoff", "rules", number, "hours"),
                    "needs business_hours of the bot, or BUSINESS_HOURS",
                )
        return BotSettings(
            settings=settings,
            inboxes=entry.inboxes,
            languages=entry.languages,
            rules=entry.rules,
            endpoints=entry.endpoints,
            own=frozenset(entry.settings),
        )

    @property
    def bots(self) -> tuple["BotSettings", ...]:
        """Return the bots; the first, without inboxes, serves all other inboxes."""
        return self._bots or (BotSettings(settings=self),)

    def bot_for(self, inbox: Inbox) -> "BotSettings":
        """Return the bot that serves *inbox*."""
        return next((bot for bot in self.bots if inbox in bot.inboxes), self.bots[0])

    def serves(self, inbox_id: int | None) -> bool:
        """Return whether a bot serves conversations of the inbox.

        Args:
            inbox_id: Chatwoot's; None in a body that names none.
        """
        if inbox_id is None:
            return True
        if not self._listens_to(inbox_id):
            return False
        # Runs for every delivery, and most services have no such file.
        return self.bots_file is None or NOBODYS not in self.bot_for(inbox_id).rules

    def elsewhere(self, event: Event) -> str | None:
        """Return the reason to ignore an event of another inbox or account, or None."""
        account = self.chatwoot_account_id
        if account is not None and event.account_id not in (None, account):
            return "other_account"
        if self.chatwoot_configured and event.message and not event.conversation:
            return "no_conversation"  # there is nowhere to post an answer
        if not self.serves(event.inbox_id):
            return "other_inbox"
        return "ignored_contact" if self.ignores(event) else None

    def ignores(self, event: Event) -> bool:
        """Return whether the bot ignores the event's contact."""
        seen = event.conversation
        if seen is None or not seen.addresses:
            return False
        bot = self if event.inbox_id is None else self.bot_for(event.inbox_id).settings
        return left_alone(seen.addresses, bot.ignore_contacts)

    def names(self, inbox_id: int | None) -> bool:
        """Return whether the settings name the inbox."""
        own = [inbox for bot in self.bots for inbox in bot.inboxes]
        return inbox_id in (*self.chatwoot_inbox_id, *own)

    def _listens_to(self, inbox: Inbox) -> bool:
        wanted = self.chatwoot_inbox_id
        return not wanted or inbox in wanted or inbox == WEB

    @property
    def chatwoot_configured(self) -> bool:
        """Whether replies are posted to Chatwoot; otherwise this is the demo."""
        return self.chatwoot_base_url is not None

    @property
    def listen_url(self) -> str | None:
        """Return where processes listen, when that is not `DATABASE_URL`."""
        url = self.database_listen_url
        return url.get_secret_value() if url else None

    @property
    def is_public(self) -> bool:
        """Whether clients on other machines are meant to reach the service.

        A proxy on this machine may then forward their requests from a local address.
        """
        return bool(self.public_url or self.cors_origins or self.chatwoot_configured)

    @property
    def signature_required(self) -> bool:
        """Whether a webhook without a signature is refused."""
        return bool(self.chatwoot_webhook_secret) and not self.chatwoot_allow_unsigned

    @property
    def booking(self) -> Literal["calcom", "link", "own"] | None:
        """Return how contacts book calls, or None when they cannot.

        With Cal.com, the link serves while Cal.com cannot be reached.
        """
        if self.calcom_api_key and self.calcom_event_type_id:
            return "calcom"
        if self.booking_url:
            return "link"
        return "own" if self.booking_hours else None

    @property
    def responder_name(self) -> str:
        """Return the responder that is set, or the one that the keys imply."""
        return self.responder or ("openai" if self.has_model else "mock")

    @property
    def has_model(self) -> bool:
        """Whether a model's server is named, by a key or by its address."""
        named = self.openai_api_key or self.openai_base_url
        return bool(named) or self.preset is not None

    @property
    def preset(self) -> Preset | None:
        """Return the preset that is in force, if there is one."""
        if self.openai_api_key:
            return None
        chosen = [each for each in PRESETS if getattr(self, each.setting)]
        if self.openai_base_url:
            chosen = [each for each in chosen if not each.has_key]
        return chosen[0] if chosen else None

    @property
    def fallback(self) -> Literal["handoff", "mock"]:
        """Return the fallback for a model that does not answer."""
        if self.llm_fallback:
            return self.llm_fallback
        return "handoff" if self.chatwoot_configured else "mock"

    def llm(self) -> Llm:
        """Return the model that answers."""
        preset = self.preset
        if preset is None:
            return _llm(self.openai_base_url, self.openai_api_key, self.openai_model)
        own: SecretStr | str = getattr(self, preset.setting)
        key = own if isinstance(own, SecretStr) else None
        model = preset.model or str(own)
        # The default, copied from .env.example, is unknown to other servers.
        if self.openai_model not in OPENAI_MODELS:
            model = self.openai_model
        return _llm(self.openai_base_url or preset.base_url, key, model)

    def embedding(self) -> Llm | None:
        """Return the model that computes embeddings, or None.

        A key is only sent to the server that it was given for.
        """
        model, url = self.embedding_model, self.embedding_base_url
        if model is None:
            return None
        if self.embedding_api_key is None and url is None:
            return self.llm()._replace(model=model)
        return _llm(url or self.openai_base_url, self.embedding_api_key, model)

    def second_llm(self) -> Llm | None:
        """Return the fallback provider's model, or None."""
        if self.responder_name == "mock":
            return None
        base_url, key = self.openai_fallback_base_url, self.openai_fallback_api_key
        model = self.openai_fallback_model
        if base_url or key:
            return _llm(base_url, key, model or OPENAI_MODEL)
        if model and self.has_model:
            return self.llm()._replace(model=model)  # a second model, same server
        return None

    def transcription(self) -> Llm | None:
        """Return the model that transcribes voice notes, or None."""
        if self.transcription_model.lower() == "none" or not self.has_model:
            return None
        model = self.transcription_model
        if (preset := self.preset) is not None:
            if preset.transcription is None:
                return None
            if model in OPENAI_TRANSCRIPTION_MODELS:
                model = preset.transcription
        elif self.openai_base_url and model == OPENAI_TRANSCRIPTION_MODEL:
            model = COMMON_TRANSCRIPTION_MODEL
        return self.llm()._replace(model=model)

    def prompt(self) -> str:
        """Return the system prompt: the file's, the variable's, or the built-in."""
        prompt = self.system_prompt or DEFAULT_PROMPT.format(name=self.bot_name)
        if self.system_prompt_file:
            prompt = self.system_prompt_file.read_text(encoding="utf-8").strip()
        return of_company(prompt, self.company_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    """The operator's choices for one bot.

    Attributes:
        settings: the environment's, overridden by the bot's own.
        inboxes: that it serves; empty for all inboxes without another bot.
        languages: codes of the languages it answers in; all when empty.
        rules: that hand over.
        endpoints: that the model may call.
        own: fields that the bot overrides.
    """

    settings: Settings
    inboxes: tuple[Inbox, ...] = ()
    languages: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    own: frozenset[str] = frozenset()

    def prompt(self) -> str:
        """Return the system prompt, with the languages to answer in."""
        prompt = self.settings.prompt()
        if not self.languages:
            return prompt
        only, first = ", ".join(self.languages), self.languages[0]
        return (
            f"{prompt}\n\nAnswer in no other languages than these (ISO 639-1): {only}. "
            f"A contact who writes in another is answered in {first}."
        )


# Hand over messages of an inbox that the bots file does not name any more.
NOBODYS = Rule(because="No bot of BOTS_FILE serves this inbox.")


OWN_RESPONDER = re.compile(
    r"\A(?:langgraph:(?=.*:))?(?!langgraph:)\w++(?:\.\w++)*+:\w+"
)
# Each of these names the model's server, see `Settings.has_model`.
MODELS = frozenset(
    {"openai_api_key", "openai_base_url", *(preset.setting for preset in PRESETS)}
)
# As pydantic reads a bool.
TRUE = ("1", "on", "t", "true", "y", "yes")


def _conflicts(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield problems of variables in combination: (variable, problem and fix)."""
    if given.get("shadow", "").lower() in TRUE:
        yield (
            "SHADOW",
            "is not supported in this release, so the bot would answer your contacts. "
            "Unset it to let the bot answer, or wait for a release that supports it",
        )
    yield from _booking_conflicts(given)
    name = given.get("responder", "mock")
    if name not in ("mock", "openai") and not OWN_RESPONDER.fullmatch(name):
        yield (
            "RESPONDER",
            "must be mock, openai, package.module:Name for a responder of your own, "
            "or langgraph:package.module:graph",
        )
    if name == "openai" and not MODELS & given.keys():
        yield (
            "OPENAI_API_KEY",
            "is required with RESPONDER=openai; a local server needs OPENAI_BASE_URL "
            "instead",
        )


def _disconnected(
    given: Mapping[str, str], entries: Sequence[Entry]
) -> Iterator[tuple[str, str]]:
    """Yield settings that Chatwoot needs: (variable, problem and fix).

    Args:
        entries: the bots of `BOTS_FILE`, which may have all settings themselves.
    """
    if "chatwoot_base_url" not in given:
        return
    unsigned = given.get("chatwoot_allow_unsigned", "").lower() in TRUE
    # Not only its presence: a lone comma is not a secret.
    secrets = _commas(given.get("chatwoot_webhook_secret", ""))
    own = any("chatwoot_webhook_secret" in entry.settings for entry in entries)
    if not secrets and not own and not unsigned:
        yield (
            "CHATWOOT_WEBHOOK_SECRET",
            "is required with CHATWOOT_BASE_URL, or anyone could forge messages of "
            "your contacts. Copy it from the bot's page in Chatwoot; only for Chatwoot "
            "before 4.13, which does not sign, set CHATWOOT_ALLOW_UNSIGNED=true",
        )
    speaking = [entry for entry in entries if entry.inboxes != (WEB,)]
    own = all("chatwoot_api_token" in entry.settings for entry in speaking)
    if "chatwoot_api_token" not in given and not (speaking and own):
        yield (
            "CHATWOOT_API_TOKEN",
            "is required with CHATWOOT_BASE_URL to post replies. Copy the access "
            "token from the bot's page in Chatwoot",
        )


def _impatient(settings: Settings) -> Iterator[tuple[str, str]]:
    """Reject settings under which every answer would miss its deadline."""
    wait_s = min(settings.quiet_seconds, settings.max_wait_seconds)
    if wait_s >= settings.answer_deadline_seconds:
        yield (
            "ANSWER_DEADLINE_SECONDS",
            f"must be longer than {wait_s:g}: QUIET_SECONDS and MAX_WAIT_SECONDS "
            "delay every answer by that many seconds",
        )


def _without_model(
    given: Mapping[str, str], entries: Sequence[Entry]
) -> Iterator[tuple[str, str]]:
    """Require a model, so that contacts do not get the demo's text by accident.

    Args:
        entries: the bots of `BOTS_FILE`, which may have a model each.
    """
    if "chatwoot_base_url" not in given:
        return
    # An inbox without a bot in the file goes to agents, without a model.
    bots = [entry.settings for entry in entries if entry.inboxes != (WEB,)]
    if any(
        not (MODELS | {"responder"}) & (given.keys() | own.keys())
        for own in (bots if entries else [{}])
    ):
        yield (
            "OPENAI_API_KEY",
            "is required with CHATWOOT_BASE_URL, or your contacts would get the "
            "demo's text. Set it, or GROQ_API_KEY, OPENROUTER_API_KEY, OLLAMA_MODEL "
            "or OPENAI_BASE_URL; set RESPONDER=mock to answer with the demo's text",
        )


def _booking_conflicts(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if "calcom_event_type_id" in given and "calcom_api_key" not in given:
        yield (
            "CALCOM_API_KEY",
            "is required with CALCOM_EVENT_TYPE_ID; create one in Cal.com under "
            "Settings, API keys",
        )
    # Bots may have an event type each.
    alone = "calcom_event_type_id" not in given and "bots_file" not in given
    if "calcom_api_key" in given and alone:
        yield (
            "CALCOM_EVENT_TYPE_ID",
            "is required with CALCOM_API_KEY; it is the number in the address of the "
            "event type's page in Cal.com",
        )


def _unreadable(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield files that cannot be used: (variable, reason)."""
    folder = given.get("knowledge_dir")
    if folder and not Path(folder).is_dir():
        yield "KNOWLEDGE_DIR", "names a folder that does not exist"
    file = given.get("system_prompt_file")
    if file and not Path(file).is_file():
        yield "SYSTEM_PROMPT_FILE", "names a file that does not exist"
    if prices := given.get("prices_file"):
        try:
            read_prices(Path(prices))
        except SettingsError as error:
            yield from error.problems.items()
