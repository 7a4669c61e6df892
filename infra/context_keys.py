"""Which keys of CDK's context are settings of ours, and which are slips for one."""

import re
from collections.abc import Mapping
from typing import Any

from console.suggest import did_you_mean, nearest
from infra.errors import SettingsError

CDKS_KEYS = re.compile(r".*[:@/-].*", re.DOTALL)  # every other key is one of ours, or a slip for one
HYPHENATED = re.compile(r"[A-Za-z][A-Za-z0-9_]*(-[A-Za-z0-9_]+)+")  # some of CDK's, and a slip for ours
NOTHING = ("none", "null")  # as docs/deploy.md writes a default, and JSON


def ours(context: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is ours in CDK's context, by the settings' names. Raises SettingsError naming a key that is a slip.

    So does the text "none" where the default is no value: it would be the name of a bucket, or of an upload.
    """
    for key in filter(HYPHENATED.fullmatch, context):
        if meant := nearest(key, defaults):
            raise SettingsError(f"{key} is not a setting: names have no hyphen, say {meant[0]}")
    found = {key: value for key, value in context.items() if not CDKS_KEYS.fullmatch(key)}
    if unknown := sorted(set(found) - set(defaults)):
        name = unknown[0] if unknown[0].isidentifier() else repr(unknown[0])  # a space is not seen otherwise
        near = did_you_mean(unknown[0], defaults)
        raise SettingsError(f"{name} is not a setting{near or ': there are ' + ', '.join(sorted(defaults))}")
    for key, value in found.items():
        if defaults[key] in (None, ()) and isinstance(value, str) and value.strip().lower() in NOTHING:
            fix = f"write {key}= for none of them" if key == "dialects" else f"leave {key} out for none"
            raise SettingsError(f"{key}={value} would be a value: {fix} (in cdk.json's context, or given with -c)")
    return found
