"""The tools of each bot, made of its settings."""

from zoneinfo import ZoneInfo

import httpx

from . import library
from .booking.calcom import CalcomClient
from .booking.calendar import Calendar
from .booking.external import CalcomCalendar
from .booking.own import OwnCalendar
from .core.hours import parse_hours
from .core.slots import Grid
from .demo.search import search_shop
from .demo.shop import CALL_HOURS
from .knowledge.health import Health
from .settings import BotSettings, Settings
from .store.engine import Database
from .tools.base import Tool
from .tools.booking import Desk, link_tools
from .tools.http import endpoint_tool
from .tools.knowledge import search_knowledge
from .tools.registry import allowed
from .wording import wording


def tools_of(
    bot: BotSettings,
    db: Database,
    http: httpx.AsyncClient,
    health: Health | None = None,
) -> tuple[Tool, ...]:
    """Return what the bot's model may do besides speaking.

    Args:
        health: told how the embeddings server answers.

    Raises:
        SettingsError: the operator's own tools cannot be used.
    """
    settings = bot.settings
    search = search_knowledge(library.knowledge_of(bot, db, http, health), db)
    return allowed(
        settings.tools,
        labels=settings.tool_labels,
        others=[
            search,
            *([search_shop(search)] if settings.responder_name == "mock" else ()),
            *booking_tools(settings, db, http),
            *(endpoint_tool(http, each) for each in bot.endpoints),
        ],
    )


def booking_tools(
    settings: Settings, db: Database, http: httpx.AsyncClient
) -> tuple[Tool, ...]:
    """Return the tools by which a bot books calls; none for one that does not."""
    if settings.booking == "link" and settings.booking_url:
        return link_tools(settings.booking_url)
    calendar = _calendar(settings, db, http)
    if calendar is None:
        return ()
    desk = Desk(
        calendar,
        db,
        public_url=settings.public_url,
        link=settings.booking_url,
        say=wording(settings.agents_language),
    )
    return desk.tools()


def _calendar(
    settings: Settings, db: Database, http: httpx.AsyncClient
) -> Calendar | None:
    key, event_type = settings.calcom_api_key, settings.calcom_event_type_id
    if key and event_type:
        client = CalcomClient(
            http,
            base_url=settings.calcom_base_url,
            api_key=key.get_secret_value(),
            event_type_id=event_type,
        )
        return CalcomCalendar(
            db,
            client,
            zone=ZoneInfo(settings.timezone),
            minutes=settings.booking_minutes,
            days_ahead=settings.booking_days_ahead,
        )
    hours = settings.booking_hours or _demo_hours(settings)
    if not hours:
        return None
    grid = Grid(
        hours=parse_hours(hours, settings.timezone),
        minutes=settings.booking_minutes,
        notice_s=settings.booking_notice_hours * 3_600,
        days_ahead=settings.booking_days_ahead,
    )
    return OwnCalendar(db, grid)


def _demo_hours(settings: Settings) -> str | None:
    """Return when the shop of the demo takes calls; None where contacts are real."""
    is_demo = settings.responder_name == "mock" and not settings.chatwoot_configured
    return CALL_HOURS if is_demo else None
