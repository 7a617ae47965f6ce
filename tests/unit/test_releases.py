"""What follows from a release of Chatwoot."""

import pytest

from chatwoot_bot.chatwoot import releases
from chatwoot_bot.chatwoot.releases import Feature
from chatwoot_bot.simulator.releases import RELEASES


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("4.16.2", (4, 16, 2)),
        ("v4.17", (4, 17, 0)),
        ("4.16.2-fazer-ai.9", (4, 16, 2)),
        ("develop", None),
        ("", None),
        (None, None),
    ],
)
def test_version_is_read_from_what_chatwoot_shows(text, version):
    assert releases.parse(text) == version


def test_every_feature_has_its_release():
    assert [each.feature for each in releases.FEATURES] == list(Feature)
    since = [each.since for each in releases.FEATURES]
    assert since == sorted(since)


@pytest.mark.parametrize(
    ("version", "lacks", "changes"),
    [((4, 11, 1), 3, 0), ((4, 13, 0), 1, 0), ((4, 16, 2), 0, 0), ((4, 17, 0), 0, 4)],
)
def test_release_lacks_and_changes(version, lacks, changes):
    assert len(releases.lacking(version)) == lacks
    assert len(releases.changing(version)) == changes


@pytest.mark.parametrize(
    ("feature", "field"),
    [
        (Feature.OWNER_HIDES, "is_owner_assigned"),
        (Feature.ASSIGNING_SETS_STATUS, "assigning_sets_status"),
        (Feature.CHECKS_TEAMS, "checks_teams"),
        (Feature.MERGES_ATTRIBUTES, "merges_attributes"),
        (Feature.READS_FLOWS, "reads_flows"),
        (Feature.TAKES_BEARER, "takes_bearer"),
    ],
)
@pytest.mark.parametrize("release", RELEASES.values(), ids=list(RELEASES))
def test_simulator_and_service_agree_on_the_releases(feature, field, release):
    version = releases.parse(release.version)

    assert releases.has(version, feature) is getattr(release, field)
