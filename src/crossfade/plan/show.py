"""The plan as text: what a person reads before a release, in the order it will happen."""

from __future__ import annotations

from crossfade.model.change import Change, Stage
from crossfade.model.path import Act, Path, Step
from crossfade.model.requirement import Config
from crossfade.plan.release import dwell, needed_requests
from crossfade.plan.show_change import change_lines

WHAT = {
    Act.EXPAND: "expand the schema: add the new shape, keep both in step",
    Act.BACKFILL: "fill what is from before, then compare the shapes",
    Act.RECORD: "write the migration tool's own rows",
    Act.DETACH: "hide the old shape, once nobody of {old} is connected",
    Act.PURGE: "drop the old shape; the attic keeps what the new one does not tell",
    Act.UNDO_CHANGE: "take back what was added; keep what only the new version wrote",
    Act.START_NEW: "start {new}; ready check proven and green",
    Act.SMOKE: "smoke each critical endpoint through the pinned new lane",
    Act.SET_SHARE: "share of {new}: {share:g} %",
    Act.RETIRE_OLD: "drain and stop {old}",
}


def lines(
    config: Config,
    path: Path,
    boot_ms: int | None,
    change: Change | None = None,
    *,
    sql: bool = False,
    gives_up: str = "",
) -> list[str]:
    """The whole plan; `change` is the schema change that the path walks, shown with its statements where asked.

    `gives_up` is the version that a rollback would still bring back until this begins.
    """
    target = path.new_version or f"{path.old_version}, {path.change_name}"
    head = f"{path.service}: {path.old_version or '(nothing)'} -> {target}  plan {path.digest}"
    rows: list[tuple[str, ...]] = [("position", "web", "schema", "step to it", "stands", "way back from it")]
    for index, position in enumerate(path.positions):
        step = path.steps[index - 1] if index else None
        rows.append(
            (
                position.name,
                _web(path, index),
                "-" if path.stage(index) is Stage.BASE else str(path.stage(index)),
                _what(path, step) if step else "-",
                _stands(config, path, index),
                step.way_back or "NONE: irreversible" if step else "-",
            )
        )
    if not any(position.schema for position in path.positions):
        rows = [(*row[:2], *row[3:]) for row in rows]
    widths = [max(len(cells) for cells in column) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    shown = change_lines(change, config.schema.star_queries, sql=sql) if change else []
    given = [f"gives up         the way back to {gives_up}, which a rollback still brings until this begins"]
    answers = [*_answers(config, path, boot_ms), *(given if gives_up else ())]
    return [head, *(f"  {row}" for row in table), *shown, *answers]


def _web(path: Path, index: int) -> str:
    position = path.positions[index]
    share = position.new_share_bp / 100
    old = f"{path.old_version or '-'} {100 - share:g}"
    if path.maintenance:
        return path.old_version
    if not position.exposed:
        return f"{old}, {path.new_version} {position.new}"
    if not path.old_version:
        return f"{path.new_version} {share:g}"
    rest = f"{path.old_version} {position.old}" if share == 100 else old
    return f"{path.new_version} {share:g}, {rest}"


def _what(path: Path, step: Step) -> str:
    if step.act is Act.RETIRE_OLD and not path.old_version:
        return "nothing to retire"
    share = (step.share_bp or 0) / 100
    return WHAT[step.act].format(new=path.new_version, old=path.old_version or "nothing", share=share)


def _stands(config: Config, path: Path, index: int) -> str:
    if index == len(path.steps) or not path.steps[index].gated:
        return "-"
    standing = dwell(config, path, index)
    return f"{standing.min_s:g} s or more, until it passes; at {standing.cap_s:g} s: {config.traffic.at_cap}"


def _answers(config: Config, path: Path, boot_ms: int | None) -> list[str]:
    if path.maintenance:
        return [f"irreversible     {_irreversible(path)}"]
    back = f"{boot_ms / 1000:.1f} s to start {path.old_version}, then the fader" if boot_ms else "not measured yet"
    fuse = config.traffic.fuse
    has_fuse = config.traffic.driver == "haproxy" and path.old_version
    needed = ", ".join(f"{name} {count}" for name, count in needed_requests(config).items())
    return [
        f"traffic back     within {config.requirement.traffic_back_s:g} s while the old version is warm",
        f"after retired    {back}",
        f"irreversible     {_irreversible(path)}",
        f"fuse             {fuse.failures} failures and {fuse.ratio:.0%} in {fuse.window_s} s, in the proxy"
        if has_fuse
        else "fuse             none: this way in has none, or there is nothing to go back to",
        f"to pass          requests on {path.new_version} without a failure, about: {needed or 'no critical endpoint'}",
    ]


def _irreversible(path: Path) -> str:
    if not path.old_version:
        return "nothing is lost, but there is no earlier version to go back to"
    step = path.first_irreversible()
    return str(step.act) if step else "nothing"
