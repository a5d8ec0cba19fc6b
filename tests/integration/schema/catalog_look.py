"""What a schema is, read by the test itself: everything that the raw SQL and a staged change must leave alike.

Rule: nothing here is asked of the product. Left out are the order of columns (one that was renamed is a new one), and
the names that PostgreSQL 18 gives to NOT NULL, which a rename leaves as they were.
"""

from __future__ import annotations

from typing import Any

import psycopg

LOOK = """
WITH s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
    AND nspname NOT LIKE 'crossfade%' AND nspname <> 'information_schema'),
c AS (SELECT c.*, s.nspname || '.' || relname AS named FROM pg_class c JOIN s ON s.oid = relnamespace)
SELECT 'schema', nspname::text, nspacl::text, obj_description(n.oid, 'pg_namespace'), '' FROM pg_namespace n JOIN s
    USING (oid, nspname)
UNION ALL SELECT 'extension', extname, '', '', '' FROM pg_extension
UNION ALL SELECT 'type', typname, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum e
    WHERE e.enumtypid = y.oid), typacl::text, obj_description(y.oid, 'pg_type')
    FROM pg_type y JOIN s ON s.oid = typnamespace
UNION ALL SELECT 'class ' || relkind::text, named, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END
    || COALESCE(reloptions::text, ''), relacl::text,
    concat_ws(' ', relowner::regrole, relpersistence, relrowsecurity, relreplident, obj_description(oid, 'pg_class'))
    FROM c
UNION ALL SELECT 'column', named || '.' || attname,
    format_type(atttypid, atttypmod) || ' ' || attcollation::regcollation,
    concat_ws(' ', attnotnull, attidentity, attgenerated, attstorage, attstattarget, pg_get_expr(d.adbin, d.adrelid)),
    concat_ws(' ', attacl::text, col_description(c.oid, attnum))
    FROM pg_attribute a JOIN c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'v', 'm', 'p')
UNION ALL SELECT 'index', named, pg_get_indexdef(indexrelid), concat_ws(' ', indisvalid, indisready, indisreplident,
    indisclustered), obj_description(indexrelid, 'pg_class') FROM pg_index JOIN c ON c.oid = indexrelid
UNION ALL SELECT 'constraint', named || ' ' || conname, pg_get_constraintdef(k.oid), concat_ws(' ', convalidated,
    condeferrable, condeferred), obj_description(k.oid, 'pg_constraint')
    FROM pg_constraint k JOIN c ON c.oid = conrelid WHERE contype <> 'n'
UNION ALL SELECT 'domain constraint', conname, pg_get_constraintdef(k.oid), contypid::regtype::text, ''
    FROM pg_constraint k JOIN s ON s.oid = connamespace WHERE contypid <> 0
UNION ALL SELECT 'routine', proname, pg_get_functiondef(p.oid), proacl::text, obj_description(p.oid, 'pg_proc')
    FROM pg_proc p JOIN s ON s.oid = pronamespace WHERE prokind <> 'a'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'trigger', named || ' ' || tgname, pg_get_triggerdef(g.oid), tgenabled::text,
    obj_description(g.oid, 'pg_trigger') FROM pg_trigger g JOIN c ON c.oid = tgrelid WHERE NOT tgisinternal
UNION ALL SELECT 'sequence', named, concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcycle),
    '', '' FROM pg_sequence JOIN c ON c.oid = seqrelid
UNION ALL SELECT 'sequence owner', d.objid::regclass::text, d.refobjid::regclass::text,
    (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid)::text, d.deptype::text
    FROM pg_depend d JOIN c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass
UNION ALL SELECT 'policy', named, polname, pg_get_expr(polqual, polrelid), '' FROM pg_policy JOIN c ON c.oid = polrelid
UNION ALL SELECT 'rule', named, rulename, pg_get_ruledef(r.oid), '' FROM pg_rewrite r JOIN c ON c.oid = ev_class
    WHERE relkind NOT IN ('v', 'm')
"""

Schema = set[tuple[Any, ...]]


def look(connection: psycopg.Connection[Any]) -> Schema:
    """The schema, as a set that two schemas can be told apart by; a rename shows under both names."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")  # so that every name is written whole
        return set(connection.execute(LOOK).fetchall())


def told_apart(found: Schema, wanted: Schema) -> dict[str, list[tuple[Any, ...]]]:
    """What is there and should not be, and what should be and is not."""
    return {
        key: sorted(rows, key=repr) for key, rows in (("found", found - wanted), ("lacking", wanted - found)) if rows
    }
