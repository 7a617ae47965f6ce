"""The small lists beside the conversations, and who one is.

Source: docs/chatwoot/api.md#read-helpers.

Agents, teams, labels, dashboard apps, canned responses, custom attributes, profile.
"""

from typing import Any

from .answers import agent_answer, team_answer
from .asks import (
    Ask,
    Endpoint,
    InvalidError,
    MissingParameterError,
    NotFoundError,
    for_users,
)
from .office import Table
from .wire import Json, iso
from .world import World

MODELS = ("conversation_attribute", "contact_attribute")


def show_profile(world: World, ask: Ask) -> Json:
    """Show whose token it is."""
    agent = ask.user
    membership = {
        "id": world.account.id,
        "name": world.account.name,
        "status": "active",
        "active_at": None,
        "role": agent.role,
        "permissions": [agent.role],
        "availability": "online",
        "availability_status": agent.availability_status,
        "auto_offline": True,
    }
    return {
        "access_token": agent.access_token,
        "account_id": world.account.id,
        "available_name": agent.available_name,
        "avatar_url": "",
        "confirmed": True,
        "display_name": None,
        "message_signature": None,
        "email": agent.email,
        "id": agent.id,
        "inviter_id": None,
        "name": agent.name,
        "provider": "email",
        "pubsub_token": f"simulated-user-{agent.id}",
        "role": agent.role,
        "ui_settings": {},
        "uid": agent.email,
        "type": None,
        "accounts": [membership],
    }


def show_version(world: World, ask: Ask) -> Json:
    """Show the release, to anybody: `GET /api`."""
    stamp = iso(world.ledger.now())[:19].replace("T", " ")
    services = {"queue_services": "ok", "data_services": "ok"}
    return {"version": world.release.version, "timestamp": stamp} | services


def list_agents(world: World, ask: Ask) -> list[Json]:
    """List the humans, as a bare array."""
    return [agent_answer(world, each) for each in world.agents.values()]


def list_members(world: World, ask: Ask) -> Json:
    """List the humans of an inbox: here, all of them."""
    if ask.id not in world.office.inboxes:
        raise NotFoundError
    return {"payload": list_agents(world, ask)}


def list_teams(world: World, ask: Ask) -> list[Json]:
    """List the teams, as a bare array."""
    return [team_answer(world, each) for each in world.teams.values()]


def list_labels(world: World, ask: Ask) -> Json:
    """List the account's labels."""
    return {
        "payload": [_without_times(row) for row in world.office.labels.rows.values()]
    }


def create_label(world: World, ask: Ask) -> Json:
    """Create a label."""
    given = _wrapped(ask.params, "label")
    title = str(given.get("title") or "").strip().lower()
    if not title:
        raise InvalidError("Title can't be blank", "title")
    if any(row["title"] == title for row in world.office.labels.rows.values()):
        raise InvalidError("Title has already been taken", "title")
    row = world.office.labels.add(
        title=title,
        description=given.get("description"),
        color=given.get("color") or "#1f93ff",
        show_on_sidebar=given.get("show_on_sidebar"),
    )
    return _without_times(row)


# Dashboard apps: pages that Chatwoot shows beside a conversation.


def list_apps(world: World, ask: Ask) -> list[Json]:
    """List the dashboard apps, as a bare array."""
    return [_app_form(row) for row in world.office.dashboard_apps.rows.values()]


def show_app(world: World, ask: Ask) -> Json:
    """Show one dashboard app."""
    return _app_form(_row(world.office.dashboard_apps, ask.id))


def create_app(world: World, ask: Ask) -> Json:
    """Create a dashboard app."""
    fields = _app_fields(ask.params)
    _check_app(fields)
    return _app_form(world.office.dashboard_apps.add(**fields))


def update_app(world: World, ask: Ask) -> Json:
    """Change a dashboard app."""
    apps = world.office.dashboard_apps
    row = _row(apps, ask.id)
    fields = _app_fields(ask.params)
    _check_app(row | fields)
    return _app_form(apps.change(row, **fields))


def delete_app(world: World, ask: Ask) -> None:
    """Delete a dashboard app."""
    del world.office.dashboard_apps.rows[
        _row(world.office.dashboard_apps, ask.id)["id"]
    ]


def _app_fields(params: Json) -> Json:
    given = _wrapped(params, "dashboard_app")
    return {name: given[name] for name in ("title", "content") if name in given}


def _check_app(fields: Json) -> None:
    if not str(fields.get("title") or "").strip():
        raise InvalidError("Title can't be blank", "title")
    content = fields.get("content")
    frames = content if isinstance(content, list) else []
    if not frames or not all(_is_frame(each) for each in frames):
        raise InvalidError("Content : Invalid data", "content")


def _is_frame(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("type") != "frame":
        return False
    return str(item.get("url") or "").startswith(("http://", "https://"))


def _app_form(row: Json) -> Json:
    return {
        "id": row["id"],
        "title": row["title"],
        "content": row["content"],
        "created_at": iso(row["created_at"]),
    }


# Canned responses and custom attributes.


def list_canned(world: World, ask: Ask) -> list[Json]:
    """List the canned responses, or those that contain `search`."""
    search = str(ask.query.get("search") or "").lower()
    return [
        _canned_form(world, row)
        for row in world.office.canned_responses.rows.values()
        if search in f"{row['short_code']}\n{row['content']}".lower()
    ]


def create_canned(world: World, ask: Ask) -> Json:
    """Create a canned response."""
    given = _wrapped(ask.params, "canned_response")
    for name in ("content", "short_code"):
        if not str(given.get(name) or "").strip():
            label = name.replace("_", " ").capitalize()
            raise InvalidError(f"{label} can't be blank", name)
    row = world.office.canned_responses.add(
        short_code=given["short_code"], content=given["content"]
    )
    return _canned_form(world, row)


def list_attributes(world: World, ask: Ask) -> list[Json]:
    """List the custom attribute definitions; `attribute_model` is 0 or 1."""
    wanted = str(ask.query.get("attribute_model") or "")
    model = MODELS[int(wanted)] if wanted in ("0", "1") else wanted
    rows = world.office.custom_attributes.rows.values()
    return [_dated(row) for row in rows if model in ("", row["attribute_model"])]


def create_attribute(world: World, ask: Ask) -> Json:
    """Create a custom attribute definition; one key once per model."""
    given = _wrapped(ask.params, "custom_attribute_definition")
    model = given.get("attribute_model") or 0
    model = MODELS[int(model)] if str(model) in ("0", "1") else model
    key = given.get("attribute_key")
    for name in ("attribute_display_name", "attribute_key"):
        if not str(given.get(name) or "").strip():
            label = name.replace("_", " ").capitalize()
            raise InvalidError(f"{label} can't be blank", name)
    rows = world.office.custom_attributes.rows.values()
    if any((r["attribute_key"], r["attribute_model"]) == (key, model) for r in rows):
        raise InvalidError("Attribute key has already been taken", "attribute_key")
    row = world.office.custom_attributes.add(
        attribute_display_name=given["attribute_display_name"],
        attribute_display_type=given.get("attribute_display_type") or "text",
        attribute_description=given.get("attribute_description"),
        attribute_key=key,
        regex_pattern=given.get("regex_pattern"),
        regex_cue=given.get("regex_cue"),
        attribute_values=given.get("attribute_values") or [],
        attribute_model=model,
        default_value=None,
    )
    return _dated(row)


def delete_attribute(world: World, ask: Ask) -> None:
    """Delete a custom attribute definition."""
    table = world.office.custom_attributes
    del table.rows[_row(table, ask.id)["id"]]


def _canned_form(world: World, row: Json) -> Json:
    return {"id": row["id"], "account_id": world.account.id} | _dated(row)


def _dated(row: Json) -> Json:
    times = {name: iso(row[name]) for name in ("created_at", "updated_at")}
    return row | times


def _without_times(row: Json) -> Json:
    times = ("created_at", "updated_at")
    return {key: value for key, value in row.items() if key not in times}


def _wrapped(params: Json, name: str) -> Json:
    """Return the record's parameters; Rails wraps a bare JSON body by itself."""
    given = params.get(name, params)
    if not isinstance(given, dict) or not given:
        raise MissingParameterError(name)
    return given


def _row(table: Table, row_id: int) -> Json:
    if row_id not in table.rows:
        raise NotFoundError
    return table.rows[row_id]


APP = "/dashboard_apps/{id:int}"
ATTRIBUTES = "/custom_attribute_definitions"
ENDPOINTS = (
    for_users("list_agents", "GET", "/agents", list_agents),
    for_users("list_members", "GET", "/inbox_members/{id:int}", list_members),
    for_users("list_teams", "GET", "/teams", list_teams),
    for_users("list_account_labels", "GET", "/labels", list_labels),
    Endpoint("create_label", "POST", "/labels", create_label, bots=False, admin=True),
    for_users("list_apps", "GET", "/dashboard_apps", list_apps),
    for_users("create_app", "POST", "/dashboard_apps", create_app),
    for_users("show_app", "GET", APP, show_app),
    for_users("update_app", "PATCH", APP, update_app),
    for_users("delete_app", "DELETE", APP, delete_app, status=204),
    for_users("list_canned", "GET", "/canned_responses", list_canned),
    for_users("create_canned", "POST", "/canned_responses", create_canned),
    for_users("list_attributes", "GET", ATTRIBUTES, list_attributes),
    for_users("create_attribute", "POST", ATTRIBUTES, create_attribute),
    for_users(
        "delete_attribute",
        "DELETE",
        f"{ATTRIBUTES}/{{id:int}}",
        delete_attribute,
        status=204,
    ),
)
PROFILE = for_users("profile", "GET", "/api/v1/profile", show_profile)
ABOUT = Endpoint("about", "GET", "/api", show_version)
