"""How `crossfade.toml` is described, read, located, documented and drafted, all from one description.

Rule: the dataclasses in `crossfade.model.requirement` are the only place where a key, its type, bounds,
default and sentence are written down. Parser, JSON Schema, reference page and the annotated example are
computed from them, so none of them can say something else.
"""
