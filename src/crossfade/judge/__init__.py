"""The statistics: streams of events in, verdicts out. Pure."""

from crossfade.judge.judge import Judge

__all__ = ["Judge"]
