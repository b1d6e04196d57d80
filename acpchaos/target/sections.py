"""What all sections of a target profile share: strictness, references to secrets, paths.

Room: target. It must not know any section.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo


def _reference(text: str) -> str:
    if not re.fullmatch(r"env:\w+|file:.+|secret:[\w.-]+/[\w.-]+/[\w.-]+", text):
        raise ValueError("give a secret by reference: env:NAME, file:PATH or secret:NS/NAME/KEY")
    return text


Reference = Annotated[str, AfterValidator(_reference)]


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is an error, since it is often a typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def resolved(path: Path | None, info: ValidationInfo) -> Path | None:
    """A path as the profile gives it: from the folder of the profile, `~` replaced."""
    if path is None:
        return None
    folder: Path = (info.context or {}).get("folder", Path.cwd())
    return folder / path.expanduser()
