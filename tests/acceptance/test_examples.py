"""What `examples/` shows works as it stands."""

import re
import shutil
from pathlib import Path

import httpx
import pytest
from service import Service

from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_page_shows_the_responder_as_it_is():
    """What the page shows is the example that other tests run."""
    page = (EXAMPLES.parent / "docs" / "extend" / "responder.md").read_text()
    [shown] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    assert (EXAMPLES / "own_responder.py").read_text().endswith(shown)
    assert len(shown.splitlines()) <= 20


def cancels(messages):
    """A model that looks an order up, and cancels it."""
    told = [line["content"] for line in messages if line["role"] == "tool"]
    match told:
        case []:
            return ToolCall(name="find_order", arguments={"number": "R-1002"})
        case [_]:
            arguments = {"number": "R-1002", "reason": "other"}
            return ToolCall(name="cancel_order", arguments=arguments)
        case _:
            return told[-1]


@pytest.mark.anyio
async def test_tools_of_a_shop(tmp_path):
    shutil.copy(EXAMPLES / "shop_tools.py", tmp_path)
    async with ModelStandIn(reply=cancels) as model, httpx.AsyncClient() as http:
        settings = {"OPENAI_BASE_URL": model.base_url, "TOOLS": "shop_tools"}
        with Service(tmp_path, **settings) as service:
            http.base_url = service.url
            begun = (await http.post("/conversations", json={})).json()
            visitor = {"authorization": f"Bearer {begun['token']}"}
            path = f"/conversations/{begun['id']}"
            said = {"content": "Cancel R-1002, please.", "sender": "user"}
            await http.post(f"{path}/messages", json=said, headers=visitor)
            await model.until(lambda: model.finished == 3)
            turns = []
            while not turns:
                turns = (await http.get(f"{path}/turns")).json()["items"]

    assert turns[0]["outcome"] == "kept"
    assert [call["name"] for call in turns[0]["tools"]] == [
        "find_order",
        "cancel_order",
    ]
    assert all(call["ok"] for call in turns[0]["tools"])
