#!/bin/sh
# Makes the two roles on a fresh PostgreSQL: eoi_owner owns and migrates, eoi_app serves. The same as app/infra/roles.py.
set -eu
psql -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "${POSTGRES_DB:-postgres}" \
	-v owner="$OWNER_PASSWORD" -v serving="$APP_PASSWORD" <<'SQL'
create role eoi_owner login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'owner';
create role eoi_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'serving';
alter role eoi_app set statement_timeout = '60s';
alter role eoi_app set idle_in_transaction_session_timeout = '60s';
alter role eoi_app set lock_timeout = '15s';
create database eoi owner eoi_owner;
revoke all on database postgres, template1, eoi from public;
grant connect on database eoi to eoi_app;
SQL
