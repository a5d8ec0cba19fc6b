"""Write docs/reference/configuration.md and docs/reference/crossfade.schema.json anew."""

from __future__ import annotations

from pathlib import Path

from crossfade.model.settings.pages import reference_page, schema_text

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

if __name__ == "__main__":
    REFERENCE.mkdir(parents=True, exist_ok=True)
    (REFERENCE / "configuration.md").write_text(reference_page(), encoding="utf-8")
    (REFERENCE / "crossfade.schema.json").write_text(schema_text(), encoding="utf-8")
