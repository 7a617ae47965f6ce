"""The order of what is found, by one rule for both databases."""

from chatwoot_bot.core.ranking import Asked, Query, Terms, fused, parts_of


def question(*words, language=""):
    return Asked(tuple((word,) for word in words), language)


def terms(text="", title="", heading="", language=""):
    return Terms(title.split(), heading.split(), text.split(), language)


def order(asked, frequencies, chunks):
    ranked = Query(asked, frequencies, 1_000).rank(dict(enumerate(chunks)))
    return [one.chunk_id for one in ranked if one.score]


def test_rare_word_says_more_than_a_frequent_one():
    chunks = [terms("common common common"), terms("rare")]

    assert order(question("common", "rare"), {"common": 400, "rare": 2}, chunks) == [
        1,
        0,
    ]


def test_title_says_more_than_heading_and_text():
    chunks = [terms("lime x"), terms("x", heading="lime"), terms("x", title="lime")]

    assert order(question("lime"), {"lime": 3}, chunks) == [2, 1, 0]


def test_own_language_goes_first():
    chunks = [terms("devolv", language="es"), terms("devolv", language="pt")]

    asked = question("devolv", language="pt")
    assert order(asked, {"devolv": 2}, chunks) == [1, 0]


def test_coverage_is_what_share_of_the_question_is_there():
    query = Query(question("lime", "scale"), {"lime": 3, "scale": 3}, 1_000)
    [both] = query.rank({1: terms("lime scale")})
    [one] = query.rank({1: terms("lime")})
    [none] = query.rank({1: terms("x")})

    assert (both.coverage, one.coverage, none.coverage) == (1.0, 0.5, 0.0)


def test_unknown_compound_counts_by_the_part_that_is_known():
    parts = parts_of("rechnungsadress")
    weights = Query(question("rechnungsadress"), {"rechnung": 5}, 1_000).weights(100)

    assert {"rechnung", "adress"} <= set(parts)
    assert list(weights) == ["rechnung"]


def test_common_words_do_not_look_for_chunks_if_others_do():
    query = Query(question("the", "lime"), {"the": 900, "lime": 3}, 1_000)

    assert list(query.weights(500)) == ["lime"]
    assert list(Query(question("the"), {"the": 900}, 1_000).weights(500)) == ["the"]


def test_fusion_prefers_what_both_have_found_and_then_the_meaning():
    found = fused(by_words=[1, 2, 3], by_meaning=[4, 2])

    assert [chunk for chunk, _ in found] == [2, 4, 1, 3]


def test_first_place_by_meaning_beats_a_late_place_in_both():
    """Else a passage that merely has the words pushes the answer from the top."""
    others = list(range(100, 115))
    found = fused(by_words=[*others, 1], by_meaning=[2, *range(200, 215), 1])

    assert found[0][0] == 2
