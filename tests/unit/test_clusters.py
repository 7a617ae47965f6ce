"""A cut never tears what a reader sees as one character."""

import unicodedata

import pytest

from chatwoot_bot.core.clusters import LONGEST, cluster_start, is_boundary
from chatwoot_bot.core.splitting import size, split

WHOLE = {
    "family": "👨‍👩‍👧‍👦",
    "skin tone": "👩🏽",
    "skin tone and trade": "👩🏽‍🚒",
    "flag": "🇩🇪",
    "flag of a country within one": "🏴\U000e0067\U000e0062\U000e0073\U000e007f",
    "keycap": "1️⃣",
    "heart": "❤️",
    "letter and accent": unicodedata.normalize("NFD", "é"),
    "Hindi": "क्षि",
    "Thai": "กำ",
    "Thai tone": "ที่",
    "Arabic vowels": "بِّ",
    "Hebrew points": "שָׁ",
    "Korean, composed of letters": unicodedata.normalize("NFD", "한"),
    "Windows line break": "\r\n",
}


@pytest.mark.parametrize("cluster", WHOLE.values(), ids=WHOLE)
def test_cluster_is_cut_nowhere(cluster):
    text = f"a{cluster}{cluster}b"
    cuts = [at for at in range(len(text) + 1) if is_boundary(text, at)]

    end = 1 + len(cluster)
    assert cuts == [0, 1, end, end + len(cluster), len(text)]
    assert {cluster_start(text, at) for at in range(1, end)} == {1}


@pytest.mark.parametrize("cluster", [c for c in WHOLE.values() if c.strip()])
@pytest.mark.parametrize("around", ["{}", "`{}`", "**{}**"])
def test_long_text_without_spaces_is_split_between_clusters(cluster, around):
    whole = split(around.format(cluster * 60), 48)
    parts = [part.strip("`*") for part in whole]

    assert "".join(parts) == cluster * 60
    assert all(len(part) % len(cluster) == 0 for part in parts)
    assert all(size(part) <= 48 for part in whole)


def test_endless_cluster_is_torn_after_all():
    text = "a" + "\u0301" * 500

    assert cluster_start(text, 300) == 300
    assert all(size(part) <= 160 for part in split(text, 160))
    assert cluster_start("\u0301" * LONGEST, 3) == 3
