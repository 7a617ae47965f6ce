"""The stand-in's own REST API, under /simulator, for tests in any language.

It is no part of Chatwoot, needs no token and takes and gives JSON:

    GET    /simulator                         what it is, and every action with its
                                              arguments: this API documents itself
    POST   /simulator/actions/{name}          act: the body is the arguments, as in
                                              {"content": "Hi", "conversation": 7};
                                              answers {"message": …} or {}
    GET    /simulator/conversations           all, in short
    GET    /simulator/conversations/{id}      one with its messages, what reached the
                                              contact, and the bot's typing switches
    GET    /simulator/deliveries?after=n      attempts, from the n-th on
    GET    /simulator/calls?after=n           REST calls that came in
    POST   /simulator/wait                    {"conversation": 7, "replies": 1,
                                              "timeout": 10}; without a conversation
                                              until all is delivered; 504 if in vain
    GET    /simulator/faults                  the switches of `faults.py`
    PATCH  /simulator/faults                  {"deliveries": {"duplicate": 0.3},
                                              "files": {"missing_requests": 2},
                                              "channel": {"error": "…"},
                                              "rate_limit": 60}
    POST   /simulator/faults/api              {"kind": "status", "status": 503, …}
    DELETE /simulator/faults                  everything behaves again

Errors are {"error": text} with 400 (wrong arguments), 404 (nothing of that id) or
422 (Chatwoot itself would refuse).
"""

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .agent_side import AgentSide
from .answers import message_answer
from .chatwoot_side import ChatwootSide
from .contact_side import ContactSide
from .ledger import MessageRefusedError
from .records import Conversation, Message
from .refusals import json_response
from .wire import Json

if TYPE_CHECKING:
    from .server import Simulator

PREFIX = "/simulator"
Handle = Callable[[Request], Awaitable[Json]]
Action = Callable[..., Awaitable[Any]]


class Control:
    """The control API of one simulator."""

    def __init__(self, sim: "Simulator") -> None:
        self._sim = sim

    def routes(self) -> list[Route]:
        """Return the routes."""
        table: tuple[tuple[str, str, Handle], ...] = (
            ("GET", "", self._index),
            ("POST", "/actions/{name}", self._act),
            ("GET", "/conversations", self._conversations),
            ("GET", "/conversations/{id:int}", self._conversation),
            ("GET", "/deliveries", self._deliveries),
            ("GET", "/calls", self._calls),
            ("POST", "/wait", self._wait),
            ("GET", "/faults", self._faults),
            ("PATCH", "/faults", self._set_faults),
            ("DELETE", "/faults", self._clear_faults),
            ("POST", "/faults/api", self._add_fault),
        )
        return [
            Route(PREFIX + path, _guarded(handle), methods=[method])
            for method, path, handle in table
        ]

    async def _index(self, request: Request) -> Json:
        sim = self._sim
        office = sim.world.office
        return {
            "base_url": sim.base_url,
            "seed": sim.seed,
            "release": office.release.name,
            "account_id": office.account.id,
            "inboxes": [_fields(each) for each in office.inboxes.values()],
            "bots": [_fields(each) for each in office.bots.values()],
            "agents": [_fields(each) for each in office.agents.values()],
            "webhooks": [_fields(each) for each in office.webhooks.values()],
            "actions": {
                name: f"{name}{_signature(act)} - {_summary(act)}"
                for name, act in actions_of(sim).items()
            },
        }

    async def _act(self, request: Request) -> Json:
        name, arguments = request.path_params["name"], await _body(request)
        result = await act(self._sim, name, arguments)
        if isinstance(result, Message):
            return {"message": message_answer(self._sim.world, result)}
        return {}

    async def _conversations(self, request: Request) -> Json:
        conversations = self._sim.world.conversations.values()
        return {"conversations": [_in_short(each) for each in conversations]}

    async def _conversation(self, request: Request) -> Json:
        world = self._sim.world
        conversation = world.conversations.get(request.path_params["id"])
        if conversation is None:
            raise LookupError(f"there is no conversation {request.path_params['id']}")
        return _in_short(conversation) | {
            "messages": [message_answer(world, each) for each in conversation.messages],
            "carried": [message.id for message in conversation.carried],
            "typing": conversation.typing,
        }

    async def _deliveries(self, request: Request) -> Json:
        attempts = self._sim.delivery_log[_after(request) :]
        return {
            "deliveries": [
                _fields(each) | {"sent": each.sent.decode()} for each in attempts
            ],
            "under_way": self._sim.under_way,
        }

    async def _calls(self, request: Request) -> Json:
        return {"calls": [_fields(each) for each in self._sim.calls[_after(request) :]]}

    async def _wait(self, request: Request) -> Json:
        given = await _body(request)
        timeout = float(given.get("timeout", 10))
        conversation = given.get("conversation")
        if conversation is None:
            await self._sim.settled(timeout)
            return {}
        replies = await self._sim.wait_for_replies(
            int(conversation), int(given.get("replies", 1)), timeout
        )
        world = self._sim.world
        return {"replies": [message_answer(world, each) for each in replies]}

    async def _faults(self, request: Request) -> Json:
        faults = self._sim.faults
        return {
            "deliveries": _fields(faults.deliveries),
            "files": _fields(faults.files),
            "channel": _fields(faults.channel),
            "rate_limit": faults.rate_limit,
            "drop_underscores": faults.drop_underscores,
            "widget_limits": faults.widget_limits,
            "api": [_fields(rule) for rule in faults.rules],
        }

    async def _set_faults(self, request: Request) -> Json:
        change_switches(self._sim.faults, await _body(request))
        return await self._faults(request)

    async def _clear_faults(self, request: Request) -> Json:
        self._sim.faults.clear()
        return await self._faults(request)

    async def _add_fault(self, request: Request) -> Json:
        rule = self._sim.faults.api(**await _body(request))
        return _fields(rule)


def actions_of(sim: "Simulator") -> dict[str, Action]:
    """Return all that the people and Chatwoot itself can do, by name."""
    return {
        name: getattr(sim, name)
        for side in (ContactSide, AgentSide, ChatwootSide)
        for name, member in vars(side).items()
        if not name.startswith("_") and inspect.iscoroutinefunction(member)
    }


async def act(sim: "Simulator", name: str, arguments: Json) -> Any:
    """Do what is called *name*.

    Raises:
        LookupError: There is no such action, or nothing of that id.
        TypeError: The arguments do not fit; the text has the right ones.
    """
    action = actions_of(sim).get(name)
    if action is None:
        raise LookupError(f"no action {name!r}; there are {', '.join(actions_of(sim))}")
    try:
        inspect.signature(action).bind(**arguments)
    except TypeError as error:
        raise TypeError(f"{name}{_signature(action)}: {error}") from None
    return await action(**arguments)


def _guarded(handle: Handle) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return json_response(await handle(request))
        except MessageRefusedError as error:
            return json_response({"error": str(error)}, 422)
        except LookupError as error:
            return json_response({"error": str(error)}, 404)
        except TimeoutError as error:
            return json_response({"error": str(error)}, 504)
        except (TypeError, ValueError, AttributeError) as error:
            return json_response({"error": str(error)}, 400)

    return guarded


async def _body(request: Request) -> Json:
    body = json.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise TypeError("the body is no JSON object")
    return body


def change_switches(target: Any, values: Json) -> None:
    """Set switches, those of a part within the part."""
    for name, value in values.items():
        if name.startswith("_") or name not in type(target).__dataclass_fields__:
            raise ValueError(f"no switch {name!r}")
        part = getattr(target, name)
        if is_dataclass(part) and isinstance(value, dict):
            change_switches(part, value)
        elif name in ("rng", "rules") or is_dataclass(part):
            raise ValueError(f"{name!r} is no switch")
        else:
            setattr(target, name, value)


def _in_short(conversation: Conversation) -> Json:
    return {
        "id": conversation.id,
        "inbox_id": conversation.inbox.id,
        "status": conversation.status,
        "assignee_id": conversation.assignee_id,
        "assignee_agent_bot_id": conversation.assignee_agent_bot_id,
        "team_id": conversation.team_id,
        "labels": list(conversation.label_list),
        "priority": conversation.priority,
        "custom_attributes": conversation.custom_attributes,
        "contact": _fields(conversation.contact),
    }


def _fields(row: Any) -> Json:
    """Return a record as JSON; bytes are left to the caller."""
    return {
        name: value
        for name, value in asdict(row).items()
        if not isinstance(value, bytes)
    }


def _after(request: Request) -> int:
    return max(int(request.query_params.get("after", 0)), 0)


def _signature(action: Action) -> str:
    parameters = inspect.signature(action).parameters.values()
    return f"({', '.join(_parameter(each) for each in parameters)})"


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    empty = parameter.default is inspect.Parameter.empty
    return parameter.name + ("" if empty else f"={parameter.default!r}")


def _summary(action: Action) -> str:
    return (inspect.getdoc(action) or "").split("\n")[0]
