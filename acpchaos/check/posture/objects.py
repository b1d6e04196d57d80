"""Parsed objects and documents: names, values at a path, label selectors.

Room: check. Small pure questions that view and rules share; it must not know a snapshot.
"""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from acpchaos.check.posture.rule import Unreadable
from acpchaos.record.snapshot import Object

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast


def parsed_yaml(text: str) -> Any:
    """One YAML document; yaml.YAMLError or ValueError when it is none."""
    return yaml.load(text, Loader=_LOADER)


def namespace_of(found: Object) -> str:
    """Namespace of an object; empty for one without."""
    return str(found["metadata"].get("namespace") or "")


def label(kind: str, found: Object) -> str:
    """How an object is named in findings: Kind namespace/name."""
    namespace = namespace_of(found)
    return f"{kind} {namespace + '/' if namespace else ''}{found['metadata']['name']}"


def dig(content: Any, path: str) -> Any:
    """The value at a dotted path, None when any part is missing."""
    for key in path.split("."):
        if not isinstance(content, dict) or key not in content:
            return None
        content = content[key]
    return content


def settings(content: Any, path: str) -> Iterator[Any]:
    """Every value at a dotted path whatever the case of its keys, also where a key holds dots: who
    reads the file decides which of them counts."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        name, wanted = str(key).lower(), path.lower()
        if name == wanted:
            yield value
        elif wanted.startswith(f"{name}."):
            yield from settings(value, path[len(name) + 1 :])


def boolean(text: Any) -> Any:
    """True and False for the words that Go's flag parser takes for them; else the text."""
    word = str(text).strip()
    if word in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if word in ("0", "f", "F", "false", "FALSE", "False", ""):
        return False
    return text


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of every leaf of a parsed document."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list):
        for at, value in enumerate(content):
            yield from leaves(value, f"{path}[{at}]")
    else:
        yield path, content


def pointer(field: str) -> str:
    """A field as JSON pointer (RFC 6901): spec.args[2] is /spec/args/2."""
    return "/" + field.replace("[", ".").replace("]", "").replace(".", "/")


def selects(selector: Object | None, labels: dict[str, str]) -> bool:
    """Kubernetes label selector semantics: an empty selector selects everything."""
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(expression: Object, labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise Unreadable(f"unknown selector operator {json.dumps(expression)}")
