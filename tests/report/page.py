"""A page read back as a tree, with the standard library's parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "hr", "input", "base", "source", "embed"}


@dataclass
class Tag:
    """An element: name, attributes, children in order (text as str)."""

    name: str
    attributes: dict[str, str]
    children: list["Tag | str"] = field(default_factory=list)

    def all(self, name: str = "", class_: str = "") -> list["Tag"]:
        """Descendants by name and class, in order of the document."""
        found: list[Tag] = []
        for child in self.children:
            if isinstance(child, Tag):
                classes = child.attributes.get("class", "").split()
                if name in ("", child.name) and (not class_ or class_ in classes):
                    found.append(child)
                found += child.all(name, class_)
        return found

    def by_id(self, id: str) -> "Tag":
        """The one element with this id."""
        (found,) = [tag for tag in self.all() if tag.attributes.get("id") == id]
        return found

    @property
    def text(self) -> str:
        """All text inside, white space folded."""
        pieces = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join(" ".join(pieces).split())


class Reader(HTMLParser):
    """Builds the tree; a closing tag that does not match fails the test that reads the page."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Tag("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Tag(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Tag:
    """Parse a whole page; every element must be closed."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert [tag.name for tag in reader.open] == [""], "the page leaves elements open"
    return reader.root
