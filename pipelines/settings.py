"""A configuration as flat settings: listed, changed by `--set`, fingerprinted, saved."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from pipelines.errors import UsageError

AnyConfig = TypeVar("AnyConfig")


def all_settings(config: object) -> dict[str, str]:
    """Every setting, flat: `{"probe.min_duration_s": "60.0", ...}`."""
    flat: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                walk(f"{prefix}.{key}" if prefix else str(key), value[key])
        else:
            flat[prefix] = str(value)

    walk("", msgspec.to_builtins(config))
    return flat


def row_settings(config: object) -> dict[str, str]:
    """The settings that change rows: all but the recipe's name, the resources, and where the text model runs."""
    return {
        key: value
        for key, value in all_settings(config).items()
        if key.split(".")[0] not in ("recipe", "resources") and key != "text.base_url"
    }


def fingerprint(settings: dict[str, str]) -> str:
    """Sixteen hex digits over flat settings (and the weights and prompts hashed into them)."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:16]


def with_settings(config: AnyConfig, assignments: Sequence[str], listed_by: str = "preceptor settings") -> AnyConfig:
    """`config` with each `section.key=value` changed; the result is validated as a whole. Lists take `a,b`.

    Raises:
        UsageError: naming the key or the value that is wrong.
    """
    tree = msgspec.to_builtins(config)
    for assignment in assignments:
        _assign(tree, assignment, listed_by)
        if assignment.partition("=")[2].lower() in ("none", "null") and not _fits(tree, type(config)):
            _assign(tree, assignment, listed_by, none_is_nothing=False)  # of some settings "none" is a value
    try:
        return msgspec.convert(tree, type(config), strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise UsageError(f"{where.strip('`$.') or 'A setting'} has a wrong value: {what}.") from error


def _fits(tree: dict[str, Any], kind: type) -> bool:
    try:
        msgspec.convert(tree, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _assign(tree: dict[str, Any], assignment: str, listed_by: str, *, none_is_nothing: bool = True) -> None:
    key, equals, text = assignment.partition("=")
    if not equals:
        raise UsageError(f"--set takes key=value, not '{assignment}'.")
    *parents, leaf = key.strip().split(".")
    node: Any = tree
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or leaf not in node or isinstance(node[leaf], dict) or key.strip() == "recipe":
        raise UsageError(f"There is no setting '{key.strip()}'; `{listed_by}` lists them all.")
    if isinstance(node[leaf], list | tuple):
        node[leaf] = [item.strip() for item in text.split(",") if item.strip()]
    else:
        node[leaf] = None if none_is_nothing and text.lower() in ("none", "null") else text


def to_json(config: object) -> bytes:
    """The whole configuration, as saved beside the output."""
    return msgspec.json.format(msgspec.json.encode(config), indent=2)

