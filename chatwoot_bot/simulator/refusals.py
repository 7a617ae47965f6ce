"""The words in which Chatwoot refuses a REST call (docs/chatwoot/api.md#errors)."""

from typing import Any

from starlette.responses import PlainTextResponse, Response

from .wire import Json, dump

NO_TOKEN = {"errors": ["You need to sign in or sign up before continuing."]}
BAD_TOKEN = {"error": "Invalid Access Token"}
NOT_FOR_BOTS = {"error": "Access to this endpoint is not authorized for bots"}
BOT_ELSEWHERE = {"error": "Bot is not authorized to access this account"}
NOT_ALLOWED = {"error": "You are not authorized to do this action"}
USER_ELSEWHERE = {"error": "You are not authorized to access this account"}
NOT_FOUND = {"error": "Resource could not be found"}


class Refusal(Exception):
    """A status and body that end the call early."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(status, body)
        self.response = json_response(body, status)


def json_response(body: Any, status: int = 200) -> Response:
    """Return *body* in the bytes that Rails would send."""
    return Response(dump(body), status, media_type="application/json")


def failure(status: int, body: Json | None = None) -> Response:
    """Return what Rails, rack-attack or a proxy says instead of an answer.

    Args:
        body: Other words than the usual ones of *status*.
    """
    if body is not None:
        return json_response(body, status)
    if status == 429:
        return PlainTextResponse("Retry later\n", status_code=429)
    if status == 422:
        return json_response({"error": "Validation failed: refused on request"}, 422)
    if status == 404:
        return json_response(NOT_FOUND, 404)
    if status == 401:
        return json_response(BAD_TOKEN, 401)
    return PlainTextResponse(f"{status} on request", status_code=status)
