-- read_catalog --
-- The user's part of the catalog as one document, from one snapshot. Expressions are printed under
-- search_path = pg_catalog, so every name outside it has its schema (manual, section 9.27.9).
WITH spaces AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname !~ '^crossfade_c[0-9a-f]{12}$'
      AND nspname NOT IN ('information_schema', 'crossfade', 'crossfade_sync', 'crossfade_attic')
), extended AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), tables AS (
    SELECT c.*, s.nspname FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
      AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
), dependents AS (
    -- What would break or change when a column is renamed or goes, beyond its own indexes and constraints.
    SELECT d.refobjid AS relation, d.refobjsubid AS number, what.says
    FROM pg_depend d
    CROSS JOIN LATERAL (
        SELECT 'view ' || (SELECT r.ev_class::regclass::text FROM pg_rewrite r WHERE r.oid = d.objid)
        WHERE d.classid = 'pg_rewrite'::regclass AND d.deptype = 'n'
        UNION ALL SELECT 'trigger ' || (SELECT quote_ident(t.tgname) FROM pg_trigger t
            JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE t.oid = d.objid AND NOT t.tgisinternal AND n.nspname <> 'crossfade_sync')
        WHERE d.classid = 'pg_trigger'::regclass
        UNION ALL SELECT 'policy ' || (SELECT quote_ident(polname) FROM pg_policy WHERE oid = d.objid)
        WHERE d.classid = 'pg_policy'::regclass
        UNION ALL SELECT 'statistics ' || (SELECT stxname::text FROM pg_statistic_ext WHERE oid = d.objid)
        WHERE d.classid = 'pg_statistic_ext'::regclass
        UNION ALL SELECT 'publication ' || (SELECT quote_ident(p.pubname) FROM pg_publication_rel r
            JOIN pg_publication p ON p.oid = r.prpubid WHERE r.oid = d.objid)
        WHERE d.classid = 'pg_publication_rel'::regclass
        UNION ALL SELECT 'generated column ' || (SELECT quote_ident(a.attname) FROM pg_attrdef f
            JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
            WHERE f.oid = d.objid AND a.attgenerated <> '' AND a.attnum <> d.refobjsubid)
        WHERE d.classid = 'pg_attrdef'::regclass
        UNION ALL SELECT 'function ' || d.objid::regprocedure::text WHERE d.classid = 'pg_proc'::regclass
        UNION ALL SELECT 'sequence ' || d.objid::regclass::text
        WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
          AND (SELECT relkind FROM pg_class WHERE oid = d.objid) = 'S'
    ) AS what(says)
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND what.says IS NOT NULL
)
SELECT jsonb_build_object(
    'tables', COALESCE((SELECT jsonb_agg(jsonb_build_object(
        'schema', t.nspname, 'name', t.relname, 'kind', t.relkind, 'rows', t.reltuples::bigint,
        'row_security', t.relrowsecurity, 'options', CASE t.relkind WHEN 'v'
            THEN COALESCE(array_to_string(t.reloptions, ', '), '') ELSE '' END,
        'comment', obj_description(t.oid, 'pg_class'),
        'grants', COALESCE((SELECT jsonb_agg(jsonb_build_array(
                CASE g.grantee WHEN 0 THEN 'PUBLIC'
                    ELSE '"' || replace(pg_get_userbyid(g.grantee), '"', '""') || '"' END, g.privilege_type,
                CASE WHEN g.is_grantable THEN 't' ELSE '' END) ORDER BY g.grantee, g.privilege_type)
            FROM aclexplode(COALESCE(t.relacl, acldefault('r', t.relowner))) g), '[]'),
        'inherits', t.relispartition OR t.relkind = 'p'
            OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = t.oid OR inhparent = t.oid),
        'definition', CASE WHEN t.relkind IN ('v', 'm') THEN pg_get_viewdef(t.oid) ELSE '' END,
        'published', EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = t.oid)
            OR EXISTS (SELECT FROM pg_publication WHERE puballtables),
        'columns', COALESCE((SELECT jsonb_agg(jsonb_build_object(
            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
            'exact', (y.typtype = 'e' OR (y.typnamespace = 'pg_catalog'::regnamespace AND y.typname IN (
                    'bool', 'int2', 'int4', 'int8', 'text', 'varchar', 'bytea', 'uuid', 'date', 'timestamp',
                    'timestamptz', 'time', 'oid', 'name')))
                AND COALESCE(o.collisdeterministic, true),
            'collation', CASE WHEN a.attcollation <> y.typcollation
                THEN quote_ident(cn.nspname) || '.' || quote_ident(o.collname) ELSE '' END,
            'not_null', a.attnotnull, 'default', pg_get_expr(f.adbin, f.adrelid),
            'identity', a.attidentity, 'generated', a.attgenerated,
            'comment', col_description(t.oid, a.attnum),
            'special', a.attstorage <> y.typstorage OR a.attcompression <> ''
                OR COALESCE(a.attstattarget, -1) <> -1
                -- what somebody has set; the server marks every column with an option of its own since 15.19/15.20
                OR EXISTS (SELECT FROM unnest(a.attoptions) AS option WHERE option NOT LIKE 'pg\_%'),
            'grants', COALESCE((SELECT jsonb_agg(jsonb_build_array(
                    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                    g.privilege_type) ORDER BY pg_get_userbyid(g.grantee), g.privilege_type)
                FROM aclexplode(a.attacl) g), '[]'),
            'dependents', COALESCE((SELECT jsonb_agg(DISTINCT d.says ORDER BY d.says) FROM dependents d
                WHERE d.relation = t.oid AND d.number = a.attnum), '[]')
            ) ORDER BY a.attnum)
            FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
            LEFT JOIN pg_collation o ON o.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = o.collnamespace
            LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
            WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
        'indexes', COALESCE((SELECT jsonb_agg(jsonb_build_object(
            'name', i.relname, 'definition', pg_get_indexdef(x.indexrelid), 'unique', x.indisunique,
            'valid', x.indisvalid, 'primary', x.indisprimary,
            'constraint', EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid
                AND k.conrelid = x.indrelid AND k.contype IN ('p', 'u', 'x')),
            'replica_identity', x.indisreplident OR x.indisclustered,
            'columns', COALESCE((SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = t.oid AND (a.attnum = ANY (x.indkey) OR EXISTS (
                    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                      AND d.refobjid = t.oid AND d.refobjsubid = a.attnum))), '[]')
            ) ORDER BY i.relname)
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = t.oid), '[]'),
        'constraints', COALESCE((SELECT jsonb_agg(jsonb_build_object(
            'name', k.conname, 'kind', k.contype, 'definition', pg_get_constraintdef(k.oid),
            'validated', k.convalidated,
            'columns', COALESCE((SELECT jsonb_agg(a.attname ORDER BY array_position(k.conkey, a.attnum))
                FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = ANY (k.conkey)), '[]'),
            'references', (SELECT jsonb_build_array(n.nspname, r.relname)
                FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = k.confrelid)
            ) ORDER BY k.conname)
            FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')), '[]'),
        'referenced_by', COALESCE((SELECT jsonb_agg(jsonb_build_object(
            'table', k.conrelid::regclass::text, 'name', k.conname,
            'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = ANY (k.confkey))
            ) ORDER BY k.conrelid::regclass::text, k.conname)
            FROM pg_constraint k WHERE k.confrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0), '[]'),
        'triggers', COALESCE((SELECT jsonb_agg(jsonb_build_object(
            'name', g.tgname, 'definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled,
            'row', g.tgtype & 1 <> 0, 'before', g.tgtype & 2 <> 0, 'insert', g.tgtype & 4 <> 0,
            'update', g.tgtype & 16 <> 0) ORDER BY g.tgname)
            FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND n.nspname <> 'crossfade_sync'), '[]'),
        'bound', CASE WHEN t.relkind <> 'r' THEN '[]' ELSE COALESCE((SELECT jsonb_agg(b.says ORDER BY b.says) FROM (
            SELECT 'rule ' || quote_ident(r.rulename) FROM pg_rewrite r WHERE r.ev_class = t.oid
            UNION SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d JOIN pg_type y
                ON y.oid = t.reltype AND d.refobjid IN (y.oid, y.typarray)
            WHERE d.refclassid = 'pg_type'::regclass AND d.deptype <> 'i'
            UNION SELECT 'trigger ' || quote_ident(g.tgname) || ', whose function asks for the table''s name'
            FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND n.nspname <> 'crossfade_sync'
              AND p.prosrc ~* 'tg_relname|table_name'
            ) AS b (says)), '[]') END
        ) ORDER BY t.nspname, t.relname) FROM tables t), '[]'),
    'functions', (SELECT jsonb_object_agg(f.name, f.facts) FROM (
        SELECT n.nspname || '.' || p.proname AS name, jsonb_build_array(
            CASE WHEN bool_or(p.provolatile = 'v') THEN 'v' WHEN bool_or(p.provolatile = 's') THEN 's' ELSE 'i' END,
            bool_and(p.prokind = 'f' AND NOT p.proretset), bool_and(p.proisstrict)) AS facts
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace GROUP BY 1) f),
    'domains', COALESCE((SELECT jsonb_agg(n.nspname || '.' || y.typname ORDER BY 1)
        FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace
        WHERE y.typtype = 'd' AND (y.typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = y.oid))
        ), '[]'),
    'types', COALESCE((SELECT jsonb_agg(s.nspname || '.' || y.typname ORDER BY 1)
        FROM pg_type y JOIN spaces s ON s.oid = y.typnamespace WHERE y.typtype IN ('b', 'e', 'd', 'r', 'm')
            OR y.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = y.typrelid AND c.relkind = 'c')), '[]'),
    'enums', COALESCE((SELECT jsonb_object_agg(e.name, e.labels) FROM (
        SELECT s.nspname || '.' || y.typname AS name, jsonb_agg(l.enumlabel ORDER BY l.enumsortorder) AS labels
        FROM pg_type y JOIN spaces s ON s.oid = y.typnamespace JOIN pg_enum l ON l.enumtypid = y.oid
        GROUP BY 1) AS e), '{}'),
    'sequences', COALESCE((SELECT jsonb_agg(s.nspname || '.' || c.relname ORDER BY 1)
        FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind = 'S'), '[]'),
    'schemas', COALESCE((SELECT jsonb_agg(nspname ORDER BY 1) FROM spaces), '[]'),
    'extensions', COALESCE((SELECT jsonb_agg(extname ORDER BY 1) FROM pg_extension), '[]'),
    'routines', COALESCE((SELECT jsonb_object_agg(p.oid::regprocedure::text, pg_get_functiondef(p.oid))
        FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND NOT EXISTS (
            SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)), '{}'),
    'users', COALESCE((SELECT jsonb_object_agg(u.name, u.users) FROM (
        -- Who would hold up dropping a type, sequence, view or routine.
        SELECT n.name, jsonb_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)) AS users
        FROM (
            SELECT 'pg_type'::regclass AS class, y.oid, y.typarray AS other, s.nspname || '.' || y.typname AS name
            FROM pg_type y JOIN spaces s ON s.oid = y.typnamespace WHERE y.typtype IN ('b', 'e', 'd', 'r', 'c')
            UNION ALL SELECT 'pg_class'::regclass, c.oid, 0, s.nspname || '.' || c.relname
            FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind IN ('v', 'm', 'S')
            UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, p.oid::regprocedure::text
            FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
        ) AS n
        JOIN pg_depend d ON d.refclassid = n.class AND d.refobjid IN (n.oid, n.other) AND d.deptype = 'n'
        LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        WHERE r.ev_class IS DISTINCT FROM n.oid
        GROUP BY n.name) u), '{}'),
    'version', current_setting('server_version_num')::int
)
