"""Code of the operator's own, named by a setting (`TOOLS`, `RESPONDER`)."""

import importlib
import sys
from types import ModuleType

from .errors import SettingsError


def import_module(name: str, *, setting: str) -> ModuleType:
    """Return the module, found as `import` finds it, or right here.

    Args:
        setting: that names it.

    Raises:
        SettingsError: it cannot be imported; the problem says why.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # the folder in which the service was started
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError({setting: f"{name} cannot be imported: {error}"}) from error
    except Exception as error:
        raise SettingsError(
            {
                setting: f"{name} failed while it was imported "
                f"({type(error).__name__}: {error})"
            }
        ) from error
