"""Who answers for each bot, and the circuit to each server that is asked for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import anyio
import httpx

from .breaker import Breaker
from .core.prompt import system_prompt
from .responders import own
from .responders.base import Responder
from .responders.guarded import GuardedResponder
from .responders.mock import MockResponder
from .responders.openai import OPENAI, OpenAIResponder
from .responders.places import Places
from .responders.standby import StandbyResponder
from .responders.terms import LIMITS, Options, Terms
from .settings import BotSettings, Llm, Settings
from .store.engine import Database
from .wording import NAMES

LANGGRAPH = "langgraph:"


class Names(NamedTuple):
    """The settings that name a server's key and its model, for the log."""

    key: str = "OPENAI_API_KEY"
    model: str = "OPENAI_MODEL"


SECOND = Names("OPENAI_FALLBACK_API_KEY", "OPENAI_FALLBACK_MODEL")


class Answering:
    """The responders of a service; two bots with the same server share its circuit.

    Args:
        failed: called for each failure of a model that a second one makes good.

    Attributes:
        circuits: by name: ``llm``, and ``llm_fallback`` to the second provider; those
            of a bot with other servers end with its first inbox, as in ``llm:3``.
    """

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        db: Database,
        failed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._http = http
        self._db = db
        self._failed = failed
        self._behind: dict[str, list[GuardedResponder]] = {}
        # By server, and by server and model.
        self._places: dict[str, Places] = {}
        self._terms: dict[tuple[str, str], Terms] = {}
        self.circuits: Mapping[str, Breaker] = {
            name: Breaker()
            for bot in settings.bots
            for name in (self._first_circuit(bot), self._second_circuit(bot))
            if name is not None
        }

    def responder(self, bot: BotSettings) -> Responder:
        """Return who answers for *bot*.

        Raises:
            SettingsError: the operator's own responder cannot be used.
        """
        first = self._guarded(self._first_circuit(bot), self._first(bot))
        llm, circuit = bot.settings.second_llm(), self._second_circuit(bot)
        if llm is None or circuit is None:
            return first
        second = self._guarded(circuit, self._model(bot, llm, SECOND))
        return StandbyResponder(first, second, self._failed)

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return what `/health/ready` shows of each circuit."""
        return {name: self._part(name, behind) for name, behind in self._behind.items()}

    def _part(self, name: str, behind: Sequence[GuardedResponder]) -> dict[str, Any]:
        """Return what is shown of one; of those behind it, the first gave the name.

        A failure of any of them shows: a refused key does not open the circuit.
        """
        errors = (each.last_error for each in behind)
        return {
            "responder": behind[0].name,
            "model": behind[0].model,
            "circuit": self.circuits[name].state,
            "last_error": next((error for error in errors if error), None),
            "tools": "offered" if self.takes_tools(name) else "refused",
        }

    def takes_tools(self, circuit: str) -> bool:
        """Return whether tools are offered to all models behind *circuit*."""
        return all(each.takes_tools for each in self._behind.get(circuit, ()))

    def _first(self, bot: BotSettings) -> Responder:
        name = bot.settings.responder_name
        if name == "mock":
            return MockResponder(
                bot.settings.bot_name,
                bot.languages,
                quiet_s=bot.settings.quiet_seconds,
            )
        if name == "openai":
            return self._model(bot, bot.settings.llm(), _names(bot.settings))
        if name.startswith(LANGGRAPH):
            return self._graph(name)
        return own.load(name, bot.settings)

    def _graph(self, name: str) -> Responder:
        try:
            # Here, because the extra need not be installed.
            from .responders.langgraph import load
        except ModuleNotFoundError as error:
            raise own.unusable(
                "needs LangGraph: pip install 'chatwoot-bot[langgraph]'"
            ) from error
        graph = load(name.removeprefix(LANGGRAPH), self._db)
        return own.OwnResponder(name, graph)

    def _model(self, bot: BotSettings, llm: Llm, names: Names) -> Responder:
        # openai imports anyio's backend when it closes its first answer: 100 ms in
        # which no webhook is taken. Asking for anything of the backend's imports it.
        anyio.get_cancelled_exc_class()
        root = llm.base_url or OPENAI
        return OpenAIResponder(
            self._http,
            base_url=llm.base_url,
            api_key=llm.api_key,
            model=llm.model,
            prompt=system_prompt(bot.prompt(), bot.settings.bot_rules),
            timeout_s=bot.settings.llm_timeout_seconds,
            first_token_s=bot.settings.llm_first_token_seconds,
            options=options(bot.settings, llm, is_first=names is not SECOND),
            terms=self._terms.setdefault((root, llm.model), Terms()),
            places=self._places_of(root),
            agents_language=NAMES[bot.settings.agents_language],
            key_setting=names.key,
            model_setting=names.model,
        )

    def _places_of(self, root: str) -> Places:
        if root not in self._places:
            settings = self._settings
            self._places[root] = Places(
                settings.llm_concurrent_requests,
                alive_s=settings.llm_first_token_seconds,
            )
        return self._places[root]

    def _guarded(self, circuit: str, responder: Responder) -> Responder:
        guarded = GuardedResponder(responder, self.circuits[circuit])
        self._behind.setdefault(circuit, []).append(guarded)
        return guarded

    def _first_circuit(self, bot: BotSettings) -> str:
        return f"llm{self._suffix(bot, _first_server)}"

    def _second_circuit(self, bot: BotSettings) -> str | None:
        if bot.settings.second_llm() is None:
            return None
        return f"llm_fallback{self._suffix(bot, _second_server)}"

    def _suffix(self, bot: BotSettings, server: Callable[[Settings], Any]) -> str:
        mine = server(bot.settings)
        bots = self._settings.bots
        first = next(each for each in bots if server(each.settings) == mine)
        return f":{first.inboxes[0]}" if first.inboxes else ""


def options(settings: Settings, llm: Llm, *, is_first: bool) -> Options:
    """Return what is asked of a model besides an answer.

    Args:
        is_first: of the first provider, whom two of the settings are for.
    """
    return Options(
        temperature=settings.llm_temperature,
        max_tokens=settings.llm_max_tokens,
        limit_name=LIMITS[llm.base_url in (None, OPENAI)],
        effort=settings.openai_reasoning_effort if is_first else None,
        extra=(settings.llm_extra_body or {}) if is_first else {},
    )


def _names(settings: Settings) -> Names:
    preset = settings.preset
    if preset is None:
        return Names()
    setting = preset.setting.upper()
    return Names(key=setting) if preset.has_key else Names(model=setting)


def _first_server(settings: Settings) -> Any:
    llm = settings.llm()
    return settings.responder_name, llm.base_url, llm.api_key


def _second_server(settings: Settings) -> Any:
    llm = settings.second_llm()
    return llm and (llm.base_url, llm.api_key)
