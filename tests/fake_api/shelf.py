"""Where the fake cluster keeps its objects."""

import copy
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str, str]  # plural, namespace, name


class Shelf(dict[Key, Object]):
    """Objects by key, and the keys of each plural, since controllers ask for those all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_of: dict[str, set[Key]] = {}

    def __setitem__(self, key: Key, item: Object) -> None:
        super().__setitem__(key, item)
        self.keys_of.setdefault(key[0], set()).add(key)

    def __delitem__(self, key: Key) -> None:
        super().__delitem__(key)
        self.keys_of[key[0]].discard(key)

    def pop(self, key: Key) -> Object:  # type: ignore[override]  # no default is asked for
        item = self[key]
        del self[key]
        return item

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shelf":
        twin = Shelf()
        for key, item in self.items():
            twin[key] = copy.deepcopy(item, memo)
        return twin
