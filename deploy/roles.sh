#!/bin/sh
# Makes the two roles on a fresh PostgreSQL: eoi_owner owns and migrates, eoi_app serves.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v owner="$OWNER_PASSWORD" -v serving="$APP_PASSWORD" <<'SQL'
create role eoi_owner login password :'owner';
create role eoi_app login password :'serving';
alter role eoi_app set statement_timeout = '60s';
alter role eoi_app set idle_in_transaction_session_timeout = '60s';
create database eoi owner eoi_owner;
revoke all on database eoi from public;
grant connect on database eoi to eoi_app;
SQL
