//! The SQL of a restore, for `psql` with its variables `live`, `scratch`, `before` and `token`,
//! connected to another database of the server.
//!
//! `:'x'` and `:"x"` are quoted by `psql`; what is put together by the server is quoted by
//! `format`. `\gexec` runs every value of a result as a statement of its own.

/// Names of databases made for a restore begin with the database's own and end so.
pub(super) const SCRATCH: &str = "_moored_restore";
/// The database that was live before, until it is dropped.
pub(super) const BEFORE: &str = "_moored_before";
/// The database of a drill.
pub(super) const DRILL: &str = "_moored_drill";

/// Undoes, or finishes, what a killed restore left: its programs in the container have ended, the
/// live database takes connections, and the others are gone. The one from before is dropped only
/// where its successor is there.
pub(super) const CLEAN: &str = r"
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid() \g /dev/null
DO $$ BEGIN
  FOR i IN 1..100 LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
      WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid());
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database
  WHERE datname = :'live' AND NOT datallowconn
    AND EXISTS (SELECT FROM pg_database WHERE datname = :'scratch') \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname IN (:'scratch', :'before') AND pid <> pg_backend_pid() \g /dev/null
SELECT format('DROP DATABASE %I', datname) FROM pg_database
  WHERE datname = :'scratch' OR datname = :'before'
    AND EXISTS (SELECT FROM pg_database WHERE datname = :'live') \gexec
";

/// Makes the empty scratch database like the live one, or as the server does it where that is
/// missing.
pub(super) const CREATE: &str = r#"
SELECT format('CREATE DATABASE %I TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L',
    :'scratch', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype)
  || CASE to_jsonb(d) ->> 'datlocprovider'
       WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'))
       WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', to_jsonb(d) ->> 'datlocale')
       ELSE '' END
  FROM pg_database d WHERE datname = :'live'
UNION ALL
SELECT format('CREATE DATABASE %I TEMPLATE template0', :'scratch')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'live') \gexec
COMMENT ON DATABASE :"scratch" IS :'token';
"#;

/// Gives the scratch database what belongs to a database and is in no dump: rights and settings;
/// its comment is our token until the swap. Settings that are lists are kept quoted by the server already (`dumputils.c`).
pub(super) const DRESS: &str = r"
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'scratch') FROM pg_database
  WHERE datname = :'live' AND datacl IS NOT NULL \gexec
SELECT format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, :'scratch',
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = :'live' \gexec
SELECT CASE s.setrole WHEN 0 THEN format('ALTER DATABASE %I', :'scratch')
    ELSE format('ALTER ROLE %I IN DATABASE %I', pg_get_userbyid(s.setrole), :'scratch') END
  || format(' SET %I TO ', split_part(c, '=', 1))
  || CASE WHEN lower(split_part(c, '=', 1)) IN ('local_preload_libraries', 'search_path',
       'session_preload_libraries', 'shared_preload_libraries', 'temp_tablespaces',
       'unix_socket_directories')
     THEN substr(c, strpos(c, '=') + 1) ELSE quote_literal(substr(c, strpos(c, '=') + 1)) END
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c
  WHERE d.datname = :'live' \gexec
";

/// Puts the scratch database in the place of the live one, in one transaction, and drops the one
/// from before. Renaming waits some seconds for those who were thrown out to be gone.
///
/// A `psql` of a killed restore may come late, when another restore is at work: a scratch database
/// with another token is none of its business, and it divides by zero.
pub(super) const SWAP: &str = r#"
SELECT 1 / count(*) FROM pg_database
  WHERE datname = :'scratch' AND shobj_description(oid, 'pg_database') = :'token' \g /dev/null
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', datname) FROM pg_database
  WHERE datname = :'live' \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname IN (:'live', :'scratch') AND pid <> pg_backend_pid() \g /dev/null
BEGIN;
SELECT 1 / count(*) FROM pg_database
  WHERE datname = :'scratch' AND shobj_description(oid, 'pg_database') = :'token' \g /dev/null
SELECT format('COMMENT ON DATABASE %I IS %L', :'scratch',
    (SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :'live')) \gexec
SELECT format('ALTER DATABASE %I RENAME TO %I', datname, :'before') FROM pg_database
  WHERE datname = :'live' \gexec
ALTER DATABASE :"scratch" RENAME TO :"live";
COMMIT;
SELECT format('DROP DATABASE %I', datname) FROM pg_database WHERE datname = :'before' \gexec
"#;

/// Counts the rows of all tables, one object of JSON a line; connected to the database itself.
pub(super) const COUNT: &str = r"
SELECT format('SELECT json_build_object(''schema'', %L, ''table'', %L, ''rows'', count(*)) FROM ONLY %I.%I',
    n.nspname, c.relname, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg\_temp\_%' \gexec
";
