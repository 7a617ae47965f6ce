"""The operator's own tools: found, described, refused with a reason."""

import importlib
import sys
import textwrap

import pytest
from factories import NOW, conversation

from chatwoot_bot.errors import SettingsError
from chatwoot_bot.tools.base import Call, Effect, ToolError
from chatwoot_bot.tools.conversation import ADD_NOTE
from chatwoot_bot.tools.operator import load
from chatwoot_bot.tools.registry import allowed

CALL = Call(key="e_1", conversation=conversation(), transcript=(), now=NOW)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module in the folder where the service is started; return its name."""
    monkeypatch.chdir(tmp_path)
    before, path = set(sys.modules), list(sys.path)

    def write(text, name="own_tools"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return name

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


SHOP = '''
    from typing import Annotated, Literal
    from pydantic import Field
    from chatwoot_bot.tools import Call, Result, ToolError, tool

    @tool(effect="none", timeout_s=3)
    async def find_order(
        number: Annotated[str, Field(pattern="R-[0-9]+")],
        detail: Literal["short", "long"] = "short",
    ) -> dict:
        """Look an order up.

        Also one that was cancelled.

        Args:
            number: as on the invoice,
                such as R-1234.
            detail: how much to tell.
        """
        return {"number": number, "state": "größer"}

    async def cancel_order(number: str, call: Call) -> str:
        """Cancel an order."""
        return f"{number} by {call.key}"

    async def remind() -> None:
        """Remind the shop."""

    async def _helper(x):
        pass

    def not_a_tool():
        pass
'''


def test_async_functions_with_a_docstring_are_tools(module):
    find, cancel, remind = load([module(SHOP)])

    assert (find.name, find.effect, find.timeout_s) == ("find_order", Effect.NONE, 3)
    assert find.description == "Look an order up.\n\nAlso one that was cancelled."
    assert (cancel.effect, remind.effect) == (Effect.ONCE, Effect.ONCE)
    schema = find.arguments.model_json_schema()
    assert schema["required"] == ["number"]
    described = {n: p["description"] for n, p in schema["properties"].items()}
    assert described == {
        "number": "as on the invoice, such as R-1234.",
        "detail": "how much to tell.",
    }
    assert "call" not in cancel.arguments.model_fields


@pytest.mark.anyio
async def test_what_they_return_becomes_text(module):
    find, cancel, remind = load([module(SHOP)])

    found = await find.run(find.arguments(number="R-1"), CALL)
    cancelled = await cancel.run(cancel.arguments(number="R-1"), CALL)
    reminded = await remind.run(remind.arguments(), CALL)

    assert found.text == '{"number": "R-1", "state": "größer"}'
    assert (cancelled.text, reminded.text) == ("R-1 by e_1", "Done.")


@pytest.mark.anyio
async def test_error_of_theirs_is_the_models_to_read(module):
    name = module(
        '''
        from chatwoot_bot.tools import ToolError

        async def find() -> str:
            """Find it."""
            raise ToolError("It is gone.")
        '''
    )
    [find] = load([name])

    with pytest.raises(ToolError, match="It is gone"):
        await find.run(find.arguments(), CALL)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("async def f(): pass", "own_tools.f needs a docstring"),
        ("async def f(x):\n    'Does.'", "own_tools.f needs a type for x"),
        ("async def f(*x: int):\n    'Does.'", r"own_tools.f must not take \*x"),
        (
            "async def f(x: object()):\n    'Does.'",
            "own_tools.f has a parameter of a type that JSON does not know",
        ),
        ("async def f(x: Nothing):\n    'Does.'", "own_tools"),
        ("def f():\n    'Not async.'", "own_tools holds no tools"),
        ("import nothing_of_the_kind", "own_tools cannot be imported: No module"),
        ("1 / 0", r"own_tools failed while it was imported \(ZeroDivisionError"),
        ("x =", r"own_tools failed while it was imported \(SyntaxError"),
    ],
)
def test_module_that_cannot_be_used_says_why(module, text, problem):
    with pytest.raises(SettingsError, match=f"TOOLS: {problem}"):
        load([module(text)])


def test_module_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match=r"TOOLS: no\.such cannot be imported"):
        load(["no.such"])


def test_operator_chooses_what_the_model_may_do(module):
    """Nothing that closes or marks conversations is there by itself."""

    def names(*chosen, **more):
        return [tool.name for tool in allowed(chosen, **more)]

    assert names() == ["escalate_to_human"]
    assert names("add_private_note", "resolve_conversation") == [
        "escalate_to_human",
        "add_private_note",
        "resolve_conversation",
    ]
    assert names(labels=("refund",)) == ["escalate_to_human", "set_label"]
    assert names("set_label", labels=("refund",)) == names(labels=("refund",))
    assert names(module(SHOP))[1:] == ["find_order", "cancel_order", "remind"]


def test_tool_that_sets_labels_wants_to_know_which():
    """It is no module, and is not looked for as one."""
    with pytest.raises(SettingsError, match=r"TOOLS: set TOOL_LABELS"):
        allowed(["set_label"])


def test_operators_own_search_takes_the_place_of_ours(module):
    name = module("async def add_private_note():\n    'Mine.'")

    [_, note] = allowed([name], others=[ADD_NOTE])

    assert note.description == "Mine."


def test_two_tools_of_one_name_are_refused(module):
    """A model could call only one of them, and nobody would know which."""
    name = module("async def escalate_to_human():\n    'Call my own.'")

    with pytest.raises(SettingsError, match="two tools named escalate_to_human"):
        allowed([name])
