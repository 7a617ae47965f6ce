"""Documents come in once, change when they change, and go when they are gone."""

import pytest
from knowing import ingesting, take_in, write

from chatwoot_bot.errors import KnowledgeError
from chatwoot_bot.knowledge.documents import Kind, Raw
from chatwoot_bot.knowledge.folder import files_in
from chatwoot_bot.knowledge.ingest import Given, Ingest
from chatwoot_bot.knowledge.search import Knowledge
from chatwoot_bot.store import knowledge as store

pytestmark = pytest.mark.anyio


async def titles(db, query, *collections):
    found = await Knowledge(db, collections or ("",)).search(query)
    return [passage.title for passage in found]


async def known(db):
    return [document.title for document in await db.read(store.documents)]


async def test_unchanged_documents_are_not_read_again(db, tmp_path):
    folder = write(tmp_path / "docs", a="# Apples\n\nRed.", b="# Pears\n\nGreen.")
    first = await take_in(db, folder)
    again = await take_in(db, folder)

    assert (first.added, first.chunks) == (2, 2)
    assert (again.added, again.changed, again.unchanged, again.chunks) == (0, 0, 2, 0)


async def test_changed_document_is_found_by_its_new_words_only(db, tmp_path):
    folder = write(tmp_path / "docs", a="# Opening\n\nWe open at the lighthouse.")
    await take_in(db, folder)
    write(folder, a="# Opening\n\nWe open at the windmill.")
    report = await take_in(db, folder)

    assert report.changed == 1
    assert await titles(db, "windmill") == ["Opening"]
    assert await titles(db, "lighthouse") == []


async def test_document_that_has_vanished_is_forgotten(db, tmp_path):
    folder = write(tmp_path / "docs", a="# Apples\n\nRed.", b="# Pears\n\nGreen.")
    await take_in(db, folder)
    (folder / "a.md").unlink()
    report = await take_in(db, folder)

    assert report.removed == 1
    assert await known(db) == ["Pears"]
    assert await titles(db, "red apples") == []


async def test_folder_with_a_longer_name_is_another_folder(db, tmp_path):
    await take_in(db, write(tmp_path / "docs", a="# Apples\n\nRed."))
    await take_in(db, write(tmp_path / "docs-old", b="# Pears\n\nGreen."))
    async with ingesting(db) as ingest:
        removed = await ingest.remove("", str(tmp_path / "docs"))

    assert removed == 1
    assert await known(db) == ["Pears"]


async def test_one_file_alone_leaves_its_neighbours(db, tmp_path):
    folder = write(tmp_path / "docs", a="# Apples\n\nRed.", b="# Pears\n\nGreen.")
    await take_in(db, folder)
    report = await take_in(db, folder / "a.md")

    assert (report.unchanged, report.removed) == (1, 0)
    assert await known(db) == ["Apples", "Pears"]


async def test_folder_that_is_not_there_forgets_nothing(db, tmp_path):
    """A volume that is not mounted must not empty the knowledge base."""
    with pytest.raises(KnowledgeError, match="no folder"):
        files_in(tmp_path / "missing")


async def test_document_that_cannot_be_read_keeps_what_was_known(db, tmp_path):
    folder = write(tmp_path / "docs", a="# Apples\n\nRed.")
    await take_in(db, folder)
    (folder / "a.md").write_bytes(b"\x00\x01\x02")
    (folder / "b.md").write_text("# Pears\n\nGreen.")
    report = await take_in(db, folder)

    assert list(report.failed.values()) == ["it is no text"]
    assert report.added == 1
    assert await titles(db, "red apples") == ["Apples"]


async def test_large_document_in_many_steps(db, tmp_path):
    """More chunks than one transaction may have, before and after a change."""
    sections = [f"## Part {n}\n\nAbout topic{n}x only." for n in range(50)]
    folder = write(tmp_path / "docs", a="# Manual\n\n" + "\n\n".join(sections))
    await take_in(db, folder)
    [passage] = await Knowledge(db, ("",)).search("topic49x")
    write(folder, a="# Manual\n\n" + "\n\n".join(sections[:40]))
    await take_in(db, folder)
    [document] = await db.read(store.documents)

    assert passage.heading == "Part 49"
    assert document.chunks == 40
    assert await titles(db, "topic49x") == []
    assert await titles(db, "topic39x") == ["Manual"]


async def test_document_that_was_left_half_way_is_read_again(db, tmp_path):
    folder = write(tmp_path / "docs", a="# Apples\n\nRed.")
    await take_in(db, folder)
    [document] = await db.read(store.documents)
    await db.write(store.open_document, document)

    assert (await take_in(db, folder)).changed == 1


async def test_collections_are_apart_except_for_the_shared_one(db, tmp_path):
    await take_in(db, write(tmp_path / "all", a="# Everybody\n\nTea and biscuits."))
    await take_in(
        db, write(tmp_path / "three", a="# Three\n\nTea and cake."), collection="3"
    )

    assert await titles(db, "tea", "") == ["Everybody"]
    assert sorted(await titles(db, "tea", "", "3")) == ["Everybody", "Three"]
    assert await titles(db, "tea", "", "4") == ["Everybody"]


async def test_document_without_text_is_named(db):
    empty = Given(Raw(uri="https://x.example/1", kind=Kind.HTML, text="<nav>A</nav>"))
    async with ingesting(db) as ingest:
        report = await ingest.add("", "https://x.example", [empty])

    assert report.failed == {"https://x.example/1": "it holds no text"}


async def test_only_one_takes_documents_in(db):
    """Two services on one database, or a command beside a service."""
    first, second = Ingest(db, None), Ingest(db, None)
    async with first:
        refused = await second._take_turn()
    async with second:
        taken = await first._take_turn()

    assert (refused, taken) == (False, False)


async def test_turn_of_a_dead_process_ends(db):
    clock = [1_000.0]
    dead, next_ = Ingest(db, None, now=lambda: clock[0]), Ingest(db, None)
    assert await dead._take_turn()
    clock[0] += 1
    async with next_:
        pass


async def test_hostile_words_are_only_words(db, tmp_path):
    """Quotes and operators of both full texts, in documents and in questions."""
    text = "# It's \\ a \"test\"\n\n' OR 1=1 -- NEAR(a b) & | ! :* foo'bar\\baz"
    await take_in(db, write(tmp_path / "docs", a=text))

    for query in (text, '" OR "', "a AND (b", "*", "'; DROP TABLE x", "foo:bar*", "\\"):
        await Knowledge(db, ("",)).search(query)
    assert await titles(db, "foo'bar test") == ['It\'s \\ a "test"']
