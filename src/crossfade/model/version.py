"""One build of a service, identified by a digest.

Rule: a version is its digest; the name is what people call it. Its directory is its own and does not change
while the version lives, so two versions never share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """Where a version's code comes from."""

    GIT = "git"
    DIRECTORY = "directory"
    IMAGE = "image"


@dataclass(frozen=True)
class Version:
    """A build. `directory` is empty for an image; `digest` is a git object id, a sha256 or an image id."""

    name: str
    digest: str
    directory: str
    source: Source

    @property
    def short_digest(self) -> str:
        """The twelve characters people read."""
        return self.digest.removeprefix("sha256:")[:12]
