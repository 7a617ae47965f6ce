"""What the service takes of a machine with everything switched on."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from test_reply import attach, connected, simulated

from chatwoot_bot.simulator.llm import ModelStandIn, ToolCall

ROOT = Path(__file__).parents[2]
MAX_MB = 150
CONVERSATIONS = 100
# What only an extra, or a document that is being read, needs.
SELDOM = (
    "aiosqlite",
    "icalendar",
    "langchain_core",
    "langgraph",
    "markdown_it",
    "numpy",
    "psycopg",
    "pypdf",
    "snowballstemmer",
)


def uses_everything(messages):
    """Look something up, ask for a free time, leave a note, and answer."""
    if messages[0]["content"].startswith("Summarize"):
        return "A summary."
    if messages[-1]["role"] == "tool":
        return "The bicycle can be returned within 30 days."
    return [
        ToolCall(name="search_knowledge", arguments={"query": "return a bicycle"}),
        ToolCall(name="find_free_times", arguments={}),
        ToolCall(name="find_order", arguments={"number": "R-1001"}),
        ToolCall(name="add_private_note", arguments={"text": "Asked for returns."}),
    ]


@pytest.mark.anyio
async def test_service_with_everything_on_stays_below_150_mb(tmp_path):
    shutil.copy(ROOT / "examples" / "shop_tools.py", tmp_path)
    settings = {
        "KNOWLEDGE_DIR": ROOT / "tests" / "knowledge_articles",
        "BOOKING_HOURS": "Mon-Sun 09:00-17:00",
        "TOOLS": "shop_tools, add_private_note, resolve_conversation",
        "TOOL_LABELS": "returns, repairs",
        "BOT_RULES": "Talk about bicycles only.",
        "REMEMBER_CONTACTS": "true",
        "CONTACT_ATTRIBUTES": "plan",
        "MAX_COST_PER_DAY": 1_000,
        "BUSINESS_HOURS": "Mon-Sun 00:00-23:59",
    }
    async with ModelStandIn(reply=uses_everything) as model, simulated() as chatwoot:
        settings |= {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k"}
        with connected(
            tmp_path, chatwoot, python=sys.executable, **settings
        ) as service:
            attach(chatwoot, service)
            said = await asyncio.gather(
                *(chatwoot.contact_says("Hi") for _ in range(CONVERSATIONS))
            )
            for message in said:
                await chatwoot.wait_for_replies(message.conversation_id, 1)
            process = psutil.Process(service.pid)
            # Documents are read in a process of its own, which ends.
            psutil.wait_procs(process.children(), timeout=30)
            assert process.children() == []
            taken_mb = process.memory_info().rss / 1e6

    called = [m for r in model.requests for m in r["messages"] if m["role"] == "tool"]
    assert len(called) >= 4 * CONVERSATIONS
    assert taken_mb < MAX_MB


def test_start_imports_nothing_that_only_extras_need():
    code = (
        "import sys, chatwoot_bot.app, chatwoot_bot.commands.serve\n"
        f"print(sorted(set({SELDOM!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "[]", done.stdout + done.stderr
