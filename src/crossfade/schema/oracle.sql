-- oracle_schema --
-- Everything that the raw SQL and a staged change must leave alike. Left out: the order of columns (one that was
-- renamed is a new one), whether rights are the usual ones or written out, and the names that PostgreSQL 18 gives to NOT NULL, which a rename leaves as they were.
WITH s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^(pg_|crossfade)' AND nspname <> 'information_schema'),
c AS (SELECT c.*, s.nspname || '.' || relname AS named FROM pg_class c JOIN s ON s.oid = relnamespace)
SELECT 'schema', nspname::text, concat_ws(' ', ARRAY(SELECT a::text FROM unnest(COALESCE(nspacl, acldefault('n', nspowner))) AS a ORDER BY 1), obj_description(n.oid, 'pg_namespace'))
    FROM pg_namespace n JOIN s USING (oid, nspname)
UNION ALL SELECT 'extension', extname::text, '' FROM pg_extension
UNION ALL SELECT CASE typtype WHEN 'e' THEN 'enumeration' ELSE 'type' END, s.nspname || '.' || typname, concat_ws(' ', (SELECT string_agg(enumlabel, ',' ORDER BY
    enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid), ARRAY(SELECT a::text FROM unnest(COALESCE(typacl, acldefault('T', typowner))) AS a ORDER BY 1), obj_description(y.oid, 'pg_type'), typnotnull,
    typdefault, CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod) END)
    FROM pg_type y JOIN s ON s.oid = typnamespace
UNION ALL SELECT 'class ' || relkind::text, named, concat_ws(' ', CASE WHEN relkind IN ('v', 'm') THEN
    pg_get_viewdef(oid) END, reloptions::text, ARRAY(SELECT a::text FROM unnest(COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner))) AS a ORDER BY 1), relowner::regrole, relpersistence, relrowsecurity,
    relreplident, obj_description(oid, 'pg_class')) FROM c
UNION ALL SELECT 'column', named || '.' || attname, concat_ws(' ', format_type(atttypid, atttypmod),
    attcollation::regcollation, attnotnull, attidentity, attgenerated, attstorage, attstattarget,
    pg_get_expr(d.adbin, d.adrelid), ARRAY(SELECT a::text FROM unnest(attacl) AS a ORDER BY 1), col_description(c.oid, attnum))
    FROM pg_attribute a JOIN c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'v', 'm', 'p', 'f')
UNION ALL SELECT 'index', named, concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisready, indisreplident,
    indisclustered, obj_description(indexrelid, 'pg_class')) FROM pg_index JOIN c ON c.oid = indexrelid
UNION ALL SELECT 'constraint', named || ' ' || conname, concat_ws(' ', pg_get_constraintdef(k.oid), convalidated,
    condeferrable, condeferred, obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint k JOIN c ON c.oid = conrelid WHERE contype <> 'n'
UNION ALL SELECT 'domain constraint', contypid::regtype || ' ' || conname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN s ON s.oid = connamespace WHERE contypid <> 0 AND contype <> 'n'
UNION ALL SELECT 'routine', p.oid::regprocedure::text, concat_ws(' ', pg_get_functiondef(p.oid), ARRAY(SELECT a::text FROM unnest(COALESCE(proacl, acldefault('f', proowner))) AS a ORDER BY 1),
    obj_description(p.oid, 'pg_proc')) FROM pg_proc p JOIN s ON s.oid = pronamespace WHERE prokind <> 'a'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'trigger', named || ' ' || tgname, concat_ws(' ', pg_get_triggerdef(g.oid), tgenabled::text,
    obj_description(g.oid, 'pg_trigger')) FROM pg_trigger g JOIN c ON c.oid = tgrelid WHERE NOT tgisinternal
UNION ALL SELECT 'sequence', named, concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcycle)
    FROM pg_sequence JOIN c ON c.oid = seqrelid
UNION ALL SELECT 'sequence owner', d.objid::regclass::text, concat_ws(' ', d.refobjid::regclass, (SELECT attname FROM
    pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid), d.deptype)
    FROM pg_depend d JOIN c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass
UNION ALL SELECT 'policy', named || ' ' || polname, concat_ws(' ', pg_get_expr(polqual, polrelid),
    pg_get_expr(polwithcheck, polrelid)) FROM pg_policy JOIN c ON c.oid = polrelid
UNION ALL SELECT 'rule', named || ' ' || rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN c ON c.oid = ev_class
    WHERE relkind NOT IN ('v', 'm')
