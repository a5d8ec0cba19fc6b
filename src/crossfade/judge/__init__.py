"""The statistics: streams of events in, verdicts out. Pure."""
