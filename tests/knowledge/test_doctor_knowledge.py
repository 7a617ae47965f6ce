"""What doctor says of the knowledge base."""

import httpx
import pytest

from chatwoot_bot.doctor.embeddings import check_embeddings, check_vectors
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.knowledge import check_knowledge
from chatwoot_bot.settings import Settings
from chatwoot_bot.store.condition import Condition


def check(documents=0, **variables):
    settings = Settings.load({name: str(value) for name, value in variables.items()})
    return check_knowledge(settings, Condition(exists=True, documents=documents))


def test_documents_are_counted(tmp_path):
    finding = check(12, KNOWLEDGE_DIR=tmp_path, OPENAI_API_KEY="sk-1")

    assert (finding.level, finding.message) == (Level.OK, "12 documents")


def test_files_of_other_kinds_are_named(tmp_path):
    (tmp_path / "b.xlsx").write_bytes(b"x")
    finding = check(1, KNOWLEDGE_DIR=tmp_path, OPENAI_API_KEY="sk-1")

    assert (finding.level, finding.message) == (
        Level.OK,
        "1 document; passed over, of another kind: b.xlsx",
    )


def test_documents_are_of_no_use_without_a_model(tmp_path):
    finding = check(12, KNOWLEDGE_DIR=tmp_path)

    assert (finding.level, finding.setting) == (Level.WARN, "OPENAI_API_KEY")


def test_folder_without_documents_is_shown(tmp_path):
    finding = check(KNOWLEDGE_DIR=tmp_path)

    assert (finding.level, finding.setting) == (Level.WARN, "KNOWLEDGE_DIR")


def test_bot_s_folder_that_is_not_there_is_named(tmp_path):
    bots = tmp_path / "bots.toml"
    bots.write_text("[[bots]]\ninboxes = [3]\nknowledge = 'texts'\n")
    finding = check(BOTS_FILE=bots)

    assert finding.level is Level.WARN
    assert "texts" in finding.message


def test_nobody_needs_a_knowledge_base():
    assert check().level is Level.OK


# --- Embeddings ---

E5 = {"OPENAI_API_KEY": "sk-1", "EMBEDDING_MODEL": "multilingual-e5-small"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "level", "said"),
    [
        ({"json": {"data": [{"embedding": [0.6, 0.8]}]}}, Level.OK, "2 numbers"),
        ({"status_code": 501}, Level.WARN, "said 501"),
        ({"text": "<html>"}, Level.WARN, "not understood"),
    ],
)
async def test_embeddings_server_is_asked(answer, level, said):
    def serve(request):
        return httpx.Response(**{"status_code": 200, **answer})

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        finding = await check_embeddings(Settings.load(E5), http)
        without = await check_embeddings(Settings.load({}), http)

    assert (finding.level, without) == (level, None)
    assert said in finding.message


def test_chunks_without_a_vector_are_counted():
    key = "multilingual-e5-small\npassage:"
    counted = Condition(exists=True, chunks=8, vectors={key: 5, "other": 8})
    whole = Condition(exists=True, chunks=8, vectors={key: 8})
    finding = check_vectors(Settings.load(E5), None, counted)

    assert finding.level is Level.WARN
    assert "3 of 8 chunks have no vector" in finding.message
    assert check_vectors(Settings.load(E5), None, whole) is None
    assert check_vectors(Settings.load({}), None, counted) is None
