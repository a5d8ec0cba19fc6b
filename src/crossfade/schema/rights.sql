-- user_tables --
-- The tables that a change may touch: no system's, no extension's, none of crossfade's own.
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND NOT starts_with(n.nspname::text, 'pg_')
  AND n.nspname NOT IN ('information_schema', 'crossfade', 'crossfade_sync', 'crossfade_attic')
  AND NOT EXISTS (
      SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY 1

-- rights_lane --
-- What the roles of the lanes could do to the schema: kind, table or schema, lane's role, role it comes through, whose
-- membership in that one to end (none: there is no such row), and whether it comes with owning the thing.
-- A role reaches what every role can that it is a member of, inherited or by SET ROLE.
WITH lane AS (
    SELECT oid, rolname, rolsuper FROM pg_roles WHERE rolname = ANY (%(roles)s)
), reach AS (
    SELECT lane.rolname::text AS lane, r.oid, r.rolname::text AS through, r.rolsuper, r.rolcreaterole,
           (SELECT x.rolname::text FROM pg_auth_members AS m JOIN pg_roles AS x ON x.oid = m.member
            WHERE m.roleid = r.oid AND (x.oid = lane.oid OR pg_has_role(lane.oid, x.oid, 'MEMBER'))
            ORDER BY x.oid = lane.oid DESC, x.rolname LIMIT 1) AS member
    FROM lane JOIN pg_roles AS r
      ON r.oid = lane.oid OR (NOT lane.rolsuper AND pg_has_role(lane.oid, r.oid, 'MEMBER'))
), granted AS (
    SELECT lane, oid, through, member FROM reach
    UNION ALL SELECT DISTINCT lane, 0::oid, 'PUBLIC', NULL FROM reach
), touched AS (
    SELECT asked.name, c.relowner, n.oid AS nsp, n.nspname::text, n.nspowner, n.nspacl
    FROM unnest(%(tables)s::text[]) AS asked (name)
    JOIN pg_namespace AS n ON n.nspname = (parse_ident(asked.name))[1]
    LEFT JOIN pg_class AS c ON c.oid = to_regclass(asked.name)
), spaces AS (
    SELECT DISTINCT nsp, nspname, nspowner, nspacl FROM touched
)
SELECT 'superuser' AS kind, '' AS thing, lane, through, member, false AS owns FROM reach WHERE rolsuper
UNION ALL
-- Before 16 such a role can grant itself the membership in any role that is no superuser.
SELECT 'createrole', '', lane, through, member, false FROM reach
WHERE rolcreaterole AND NOT rolsuper AND current_setting('server_version_num')::int < 160000
UNION ALL
SELECT 'table', touched.name, lane, through, member, true FROM reach JOIN touched ON touched.relowner = reach.oid
UNION ALL
SELECT 'schema', s.nspname, g.lane, g.through, g.member, g.oid = s.nspowner
FROM spaces AS s, aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) AS acl
JOIN granted AS g ON g.oid = acl.grantee
WHERE acl.privilege_type = 'CREATE'
UNION ALL
SELECT 'database', d.datname::text, g.lane, g.through, g.member, g.oid = d.datdba
FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS acl
JOIN granted AS g ON g.oid = acl.grantee
WHERE d.datname = current_database() AND acl.privilege_type = 'CREATE'
ORDER BY lane, kind, thing, through

-- rights_tables --
-- For each table: its owner, whether that is a superuser, whether the asking role has the owner's rights or could take
-- them on, what it may do in the table's schema, and whether row-level security hides rows from it.
SELECT asked.name, n.nspname::text, r.rolname::text, r.rolsuper,
       pg_has_role(c.relowner, 'USAGE'), pg_has_role(c.relowner, 'MEMBER'),
       has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE'),
       coalesce(row_security_active(c.oid), false)
FROM unnest(%(tables)s::text[]) AS asked (name)
JOIN pg_namespace AS n ON n.nspname = (parse_ident(asked.name))[1]
LEFT JOIN pg_class AS c ON c.oid = to_regclass(asked.name)
LEFT JOIN pg_roles AS r ON r.oid = c.relowner
ORDER BY asked.name

-- rights_role --
-- What the asking role may do beyond single tables. The three schemas need no right to create them once they are there.
SELECT current_user::text AS role, current_database()::text AS database,
       current_setting('server_version_num')::int AS version,
       has_database_privilege(current_database(), 'CREATE') OR 3 = (
           SELECT count(*) FROM pg_namespace
           WHERE nspname IN ('crossfade', 'crossfade_sync', 'crossfade_attic') AND pg_has_role(nspowner, 'USAGE')
       ) AS create_schemas,
       pg_has_role('pg_read_all_stats', 'USAGE') AS read_all_stats,
       pg_has_role('pg_signal_backend', 'USAGE') AS signal_backend,
       has_function_privilege('pg_control_system()', 'EXECUTE') AS control_system,
       has_function_privilege('pg_create_restore_point(text)', 'EXECUTE') AS restore_point

-- known_roles --
SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%(roles)s)
