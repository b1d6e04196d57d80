#!/bin/sh
# Once, on the first leader: the database that ACP uses. Patroni appends a connection string.
set -eu
psql -v ON_ERROR_STOP=1 "$1" <<'SQL'
\getenv password ACP_PASSWORD
CREATE ROLE acp LOGIN PASSWORD :'password';
CREATE DATABASE acp OWNER acp;
SQL
