"""Real Alembic and real Django are asked for their SQL, as processes of a project that crossfade never imports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from crossfade.model.errors import CrossfadeError
from crossfade.schema.inputs.migration import all_sources
from crossfade.schema.inputs.place import read_place
from crossfade.schema.inputs.tools import Tools, from_alembic, from_django
from crossfade.schema.parser import Script, read_sources

ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "migrations/env.py": (
        "from alembic import context\n"
        "context.configure(url='postgresql://nobody@127.0.0.1:1/none', literal_binds=True)\n"
        "with context.begin_transaction():\n    context.run_migrations()\n"
    ),
    "migrations/versions/a1.py": (
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = 'a1', None\n"
        "def upgrade(): op.create_table('orders', sa.Column('id', sa.BigInteger, primary_key=True))\n"
    ),
    "migrations/versions/b2.py": (
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = 'b2', 'a1'\n"
        "def upgrade():\n    op.add_column('orders', sa.Column('note', sa.Text))\n"
        "    op.execute(\"UPDATE orders SET note = 'it''s' WHERE note IS NULL\")\n"
        "    op.alter_column('orders', 'note', nullable=False)\n"
    ),
    "migrations/versions/c3.py": (
        "from alembic import op\nrevision, down_revision = 'c3', 'b2'\n"
        "def upgrade():\n    with op.get_context().autocommit_block():\n"
        "        op.create_index('orders_note', 'orders', ['note'], postgresql_concurrently=True)\n"
    ),
    "change.sql": "-- crossfade: from alembic a1:c3\n-- crossfade: up orders.note = 'x'\nDROP TABLE old;\n",
}
DJANGO = {
    "manage.py": (
        "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
    ),
    "settings.py": (
        "import os\nSECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\nE = os.environ\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': E['PGDATABASE'],"
        " 'HOST': E['PGHOST'], 'PORT': E['PGPORT'], 'USER': E['PGUSER'], 'PASSWORD': E['PGPASSWORD']}}\n"
    ),
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": (
        "from django.db import migrations, models\nclass Migration(migrations.Migration):\n    operations = ["
        "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True))])]\n"
    ),
    "shop/migrations/0002_note.py": (
        "from django.db import migrations, models\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('shop', '0001_initial')]\n    operations = ["
        "migrations.AddField('order', 'note', models.CharField(max_length=20, default=\"it's\", db_index=True)),"
        "migrations.AddField('order', 'parent', models.ForeignKey('shop.Order', models.CASCADE, null=True))]\n"
    ),
    "shop/migrations/0003_rows.py": (
        "from django.db import migrations\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('shop', '0002_note')]\n    operations = [migrations.RunPython(print)]\n"
    ),
}
PYTHON = (sys.executable, "manage.py")


def project(folder: Path, files: dict[str, str]) -> Tools:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Tools(folder, (sys.executable, "-m", "alembic"), PYTHON)


def told(script: Script) -> list[tuple[str, str]]:
    return [(one.where, one.text) for one in script.statements]


def refused(act: Any) -> str:
    with pytest.raises(CrossfadeError) as caught:
        act()
    return f"{int(caught.value.exit)} {caught.value.render()}"


def test_alembic_prints_a_migration_for_each_revision_with_its_own_lines(tmp_path: Path) -> None:
    tools = project(tmp_path, ALEMBIC)
    found = from_alembic(tools, "a1:c3")
    assert [one.name for one in found] == ["b2", "c3"]
    assert told(read_sources(found[0].sources)) == [
        ("alembic a1:c3:5", "ALTER TABLE orders ADD COLUMN note text"),
        ("alembic a1:c3:7", "UPDATE orders SET note = 'it''s' WHERE note IS NULL"),
        ("alembic a1:c3:9", "ALTER TABLE orders ALTER COLUMN note SET NOT NULL"),
    ]
    assert [one.where for one in read_sources(found[0].sources).version_rows] == ["alembic a1:c3:11"]
    assert told(read_sources(found[1].sources)) == [
        ("alembic a1:c3:17", "CREATE INDEX CONCURRENTLY orders_note ON orders USING btree (note)")
    ]


def test_a_change_says_which_revisions_and_what_their_sql_cannot_say(tmp_path: Path) -> None:
    tools = project(tmp_path, ALEMBIC)
    script = read_sources(all_sources(read_place(["change.sql"], within=tmp_path, tools=tools)))
    wheres = [where for where, _ in told(script)]
    assert wheres == ["alembic a1:c3:5", "alembic a1:c3:7", "alembic a1:c3:9", "alembic a1:c3:17", "change.sql:3"]
    assert [one.where for one in script.comments] == ["change.sql:2"]


def test_what_alembic_says_is_shown_when_it_fails(tmp_path: Path) -> None:
    tools = project(tmp_path, ALEMBIC)
    assert refused(lambda: from_alembic(tools, "zz:head")) == (
        f"3 error[input-tool]: {sys.executable} -m alembic upgrade zz:head --sql did not print SQL\n"
        f"  where: {tmp_path}\n"
        "  what:  it ended with 255\n"
        "  it said:\n"
        "    BEGIN;\n"
        "    FAILED: Can't locate revision identified by 'zz'\n"
        "hint: run it there by hand; which program is run is said in crossfade.toml, under [schema]: alembic, django"
    )


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refused(lambda: from_alembic(Tools(tmp_path, ("./no-alembic",)), "a:b"))
    assert said.splitlines()[2] == "  what:  it does not start: No such file or directory"


@pytest.mark.parametrize("asked", ["alembic head", "alembic --x:y", "alembic a:b; rm c", "django shop 0002", "make"])
def test_only_the_known_tools_are_asked_and_only_in_their_words(tmp_path: Path, asked: str) -> None:
    (tmp_path / "a.sql").write_text(f"\n-- crossfade: from {asked}\n")
    assert refused(lambda: read_place(["a.sql"], within=tmp_path, tools=Tools(tmp_path, ("false",)))) == (
        f"3 error[input-from]: a.sql:2: nothing can be asked for the SQL of {asked}\n"
        "  reason: this is neither alembic FROM:TO nor django APP MIGRATION, by its whole name\n"
        "hint: print it, and hand that in: alembic upgrade FROM:TO --sql, or manage.py sqlmigrate APP MIGRATION"
    )


def test_no_program_runs_where_none_was_allowed(tmp_path: Path) -> None:
    project(tmp_path, ALEMBIC)
    said = refused(lambda: read_place([tmp_path / "change.sql"]))
    assert said.splitlines()[1] == "  reason: no program of the project is run here"


def test_django_prints_its_deferred_sql_and_is_given_its_row(
    tmp_path: Path, home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = project(tmp_path, DJANGO)
    address = conninfo_to_dict(home.super_url)
    for name in ("host", "port", "user", "password", "dbname"):
        monkeypatch.setenv(f"PG{name.upper().replace('DBNAME', 'DATABASE')}", str(address.get(name, "")))
    (found,) = from_django(tools, "shop", "0002_note")
    script = read_sources(found.sources)
    kinds = [one.kind for one in script.statements]
    assert kinds.count("index_stmt") == 3  # note, note_like and the foreign key's, deferred to the end
    assert "ADD COLUMN note varchar(20) DEFAULT 'it''s' NOT NULL" in script.statements[0].text
    assert all(one.where.startswith("django shop 0002_note:") for one in script.statements)
    assert [one.text for one in script.version_rows] == [
        "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0002_note', now())"
    ]
    assert refused(lambda: from_django(tools, "shop", "0003_rows")) == (
        "1 error[schema-not-staged]: django shop 0003_rows:5: an operation in Python has no safe form yet\n"
        "  reason: Django cannot write it as SQL, so what it does to the rows is not known\n"
        "hint: write it as migrations.RunSQL, or run it by hand between two releases"
    )
