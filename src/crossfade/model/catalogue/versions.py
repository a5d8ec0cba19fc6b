"""What a version is, and why a directory, commit or image is not taken for one."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "version-unknown",
        Exit.CONFIG,
        "there is no version {name}",
        "{looked_for}",
        "name one that exists, or add it to crossfade.toml",
    ),
    Kind(
        "version-dirty",
        Exit.CONFIG,
        "version {name} is not what is committed: {count} changed {files} in {directory}",
        "{listing}",
        "commit the changes, then run the same command again",
    ),
    Kind(
        "version-changed",
        Exit.CONFIG,
        "the directory of version {name} changed while the version lives",
        "directory: {directory}\ndigest:    {digest}\nfound:     {found}",
        "put the directory back as it was, or release the change as a version of its own",
    ),
    Kind(
        "version-shares-directory",
        Exit.CONFIG,
        "the versions {names} share one directory",
        "directory: {directory}",
        "give each version a directory of its own",
    ),
    Kind(
        "git-failed",
        Exit.UNREACHABLE,
        "git could not answer in {directory}",
        "command: {command}\nreason:  {reason}",
        "run the command by hand",
    ),
    Kind(
        "image-unknown",
        Exit.UNREACHABLE,
        "the image of version {name} could not be inspected",
        "command: {command}\nreason:  {reason}",
        "pull the image, or mend the inspect command in crossfade.toml",
    ),
)
