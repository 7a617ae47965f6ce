"""Chatwoot itself: there, which release, and its clock."""

from ..chatwoot import releases
from ..chatwoot.admin import AdminClient
from ..chatwoot.shown import Installation
from ..core.signature import TOLERANCE_S
from ..errors import ChatwootError
from .findings import Finding, fail, ok, skip, warn

BASE_URL = "CHATWOOT_BASE_URL"
# Far less than breaks anything, far more than two synchronised clocks differ.
NOTICEABLE_S = 60.0


async def check_installation(
    client: AdminClient,
) -> tuple[Finding, Installation | None]:
    """Ask Chatwoot for its release, which needs no token."""
    check = "chatwoot"
    try:
        found = await client.installation()
    except ChatwootError as error:
        what, _, mend = str(error).rpartition(": ")
        return fail(check, what, setting=BASE_URL, mend=mend), None
    version = releases.parse(found.version)
    if version is None:
        return ok(
            check, f"answers, with no release that is known ({found.version})"
        ), found
    lacking = releases.lacking(version)
    if lacking:
        newest = ".".join(map(str, releases.LACKS[0].since))
        return warn(
            check,
            f"release {found.version} lacks: {'; '.join(lacking)}",
            setting=BASE_URL,
            mend=f"upgrade Chatwoot to {newest} or newer",
        ), found
    return ok(check, f"release {found.version}"), found


def check_clock(installation: Installation, *, now: float) -> Finding:
    """Compare the clocks: a signature counts for five minutes.

    Args:
        now: ours, Unix seconds, when the answer came.
    """
    check = "clock"
    if installation.at is None:
        return skip(check, "Chatwoot does not show its clock")
    ahead_s = installation.at - now
    said = f"Chatwoot's is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    mend = "set the clocks of both machines by NTP: timedatectl set-ntp true"
    if abs(ahead_s) > TOLERANCE_S:
        minutes = TOLERANCE_S // 60
        return fail(
            check,
            f"{said}; beyond {minutes} minutes every signature is refused",
            setting=None,
            mend=mend,
        )
    if abs(ahead_s) > NOTICEABLE_S:
        return warn(check, said, setting=None, mend=mend)
    return ok(check, "agrees with Chatwoot's")
