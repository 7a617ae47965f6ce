"""Tools of a shop: TOOLS=examples.shop_tools, or copy it beside your .env.

Every async function with a docstring is a tool. The model reads the docstring, and a
call that does not fit the types is sent back to it with what is wrong.
"""

from typing import Annotated, Literal

from pydantic import Field

from chatwoot_bot.tools import Call, Result, ToolError, tool

Number = Annotated[str, Field(pattern="^R-[0-9]+$", examples=["R-1234"])]

ORDERS = {
    "R-1001": {"state": "shipped", "arrives": "tomorrow"},
    "R-1002": {"state": "being packed"},
}


@tool(effect="none")
async def find_order(number: Number) -> dict[str, str]:
    """Look up where an order is.

    Args:
        number: as on the invoice.
    """
    if number not in ORDERS:
        raise ToolError("There is no such order. Ask for the number on the invoice.")
    return ORDERS[number]


@tool(effect="once")
async def cancel_order(
    number: Number, reason: Literal["too late", "not needed", "other"], call: Call
) -> Result:
    """Cancel an order that has not been shipped. Ask the customer to confirm first."""
    order = ORDERS.get(number)
    if order is None or order["state"] == "shipped":
        raise ToolError("This order cannot be cancelled any more. Offer a return.")
    # A shop with an API of its own would be given `call.key` as its idempotency key;
    # such a tool is "keyed", and may be run again after a crash.
    order["state"] = "cancelled"
    return Result(
        text=f"Order {number} is cancelled; the money is back within three days.",
        notes=(f"The bot has cancelled order {number} ({reason}).",),
        labels=("cancelled",),
    )
