"""Secrets sealed in parsed content and in YAML or JSON text, where the text around them stays.

Room: posture. A leaf's name is its key, or the name beside it ({name: PASSWORD, value: ...}), or
the flag before it in a command line. It must not know Kubernetes kinds.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import yaml

from acpchaos.posture.redaction import Sealer, names_a_secret

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Change = Callable[[str, str], str]  # (name, text) -> text
_PRIVATE_JWK = {"d", "k", "p", "q", "dp", "dq", "qi", "oth"}
_COMMENT = re.compile(r"#[^\n]*")
_ANCHOR = re.compile(r"(?:&\S+\s+)?")
# a secret may begin with a dash, too; a word like this is taken for the next flag all the same
_OPTION = re.compile(r"--[a-z]+(?:[.-][a-z]+)*(?:=.*)?", re.DOTALL)
_FLAG = re.compile(r"(--?[\w.-]+)=(.*)", re.DOTALL)
_MOST_NODES = 200_000  # aliases can make a small text a huge document, or an endless one


def sealed_tree(value: Any, change: Change, name: str = "") -> Any:
    """The same structure with every text changed; numbers are, where a secret's name stands."""
    if isinstance(value, dict):
        return {
            key: sealed_tree(each, change, _name_within(name, str(key), value))
            for key, each in value.items()
        }
    if isinstance(value, list):
        return _sealed_list(value, change, re.sub(r"[sS]$", "", name))
    if isinstance(value, str):
        return change(name, value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return change(name, str(value)) if number and names_a_secret(name) else value


def _name_within(parent: str, key: str, mapping: Mapping[str, Any]) -> str:
    if key == "value" and isinstance(mapping.get("name"), str):
        return str(mapping["name"])
    if key in _PRIVATE_JWK and "kty" in mapping:
        return "private_key"
    return f"{parent}_{key}" if key in ("key", "value") else key


def _sealed_list(items: list[Any], change: Change, name: str) -> list[Any]:
    """Items under the list's name; a word after a flag that names a secret is that secret."""
    changed, flag = [], ""
    for item in items:
        word = item if isinstance(item, str) else ""
        owner = flag if flag and not _OPTION.fullmatch(word) else name
        changed.append(sealed_tree(item, change, owner))
        flag = word if word.startswith("-") and "=" not in word and names_a_secret(word) else ""
    return changed


def sealed_value(sealer: Sealer, name: str, text: str) -> str:
    """One value under a name, in parsed content; a document in it is sealed as one."""
    if (flag := _FLAG.fullmatch(text)) is not None and not names_a_secret(name):
        return f"{flag[1]}={sealed_value(sealer, flag[1], flag[2])}"
    if not names_a_secret(name) and ("\n" in text or text.lstrip()[:1] in ("{", "[")):
        return sealed_document(sealer, text, name)
    return sealer.value(name, text)


def sealed_document(sealer: Sealer, text: str, name: str = "") -> str:
    """YAML or JSON text with its secrets sealed in place, comments too; any other text as lines.

    `name` is what the whole is called: the items of a list may take theirs from it.
    """
    try:
        parsed = _Parsed(text)
    except (yaml.YAMLError, RecursionError, _Unusual):
        return _sealed_json(sealer, text, name) or sealer.text(text, lines=True)

    edits: dict[int, str] = {}

    def change(called: str, found: str) -> str:
        new = sealed_value(sealer, called, str(found))
        if new != found and isinstance(found, _Scalar):
            edits[found.start] = new
        return new

    for root in parsed.roots:
        sealed_tree(root, change, name)
    return parsed.edited(edits, lambda comment: sealer.text(comment, lines=True))


def _sealed_json(sealer: Sealer, text: str, name: str) -> str:
    """JSON that is no YAML, since escapes beyond the basic plane differ; empty for other texts."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict | list):
        return ""
    return json.dumps(sealed_tree(found, partial(sealed_value, sealer), name))


def expands(text: str) -> bool:
    """Whether aliases make the content of a YAML text too large to walk through."""
    roots = yaml.compose_all(text, Loader=LOADER)
    return any(_size(root, {}) > _MOST_NODES for root in roots if root is not None)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = _MOST_NODES + 1  # what holds itself never gets an end
        pairs = isinstance(node, yaml.MappingNode)
        children = [each for pair in node.value for each in (pair if pairs else (pair,))]
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]


class _Unusual(Exception):
    """YAML whose secrets cannot be told by key and place."""


class _Scalar(str):
    """A scalar of a YAML text, and where it stands there."""

    start: int


class _Parsed:
    """A YAML text as structure whose texts know their places."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._ends: dict[int, int] = {}
        roots = [each for each in yaml.compose_all(text, Loader=LOADER) if each is not None]
        if not roots or any(isinstance(each, yaml.ScalarNode) for each in roots):
            raise _Unusual
        if any(_size(root, {}) > _MOST_NODES for root in roots):
            raise _Unusual
        self.roots = [self._converted(root) for root in roots]

    def _converted(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            scalar = _Scalar(node.value)
            scalar.start = node.start_mark.index
            self._ends[scalar.start] = node.end_mark.index
            return scalar
        if isinstance(node, yaml.SequenceNode):
            return [self._converted(each) for each in node.value]
        pairs = [(self._converted(key), self._converted(value)) for key, value in node.value]
        if not all(isinstance(key, str) for key, _ in pairs) or len(dict(pairs)) < len(pairs):
            raise _Unusual
        return dict(pairs)

    def edited(self, edits: Mapping[int, str], comment: Callable[[str], str]) -> str:
        """The text with scalars replaced by their start, and every comment changed."""
        parts, at = [], 0
        for start, end in sorted(self._ends.items()):
            gap, old = self.text[at:start], self.text[start:end]
            parts.append(_COMMENT.sub(lambda m: comment(m[0]), gap))
            new = edits.get(start)
            parts.append(old if new is None else _quoted(old, new))
            at = end
        parts.append(_COMMENT.sub(lambda m: comment(m[0]), self.text[at:]))
        return "".join(parts)


def _quoted(old: str, new: str) -> str:
    """A scalar in the place of another: its anchor stays, and the line's end of a block."""
    found = _ANCHOR.match(old)
    return (
        (found[0] if found else "")
        + json.dumps(new, ensure_ascii=False)
        + ("\n" if old.endswith("\n") else "")
    )
