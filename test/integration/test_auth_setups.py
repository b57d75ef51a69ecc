# SPDX-License-Identifier: ISC
"""Set-ups that are odd but legal, as sites have them: who gets in, what is asked, what need not be there."""
import contextlib
import socket

import psycopg
import pytest
from conftest import ADMIN, DATABASE, Wire, password_of, wait_until
from helpers import refusal as told
from helpers import end_servers, server_row
from test_auth import LISTED, counted, refusal, rules
from test_tls import certificate, client_side, started, verified


@pytest.mark.parametrize("database", ["slow", "down"])
def test_auth_query_that_is_not_answered_is_a_clear_error(pgweir, postgres, query_user, wire, database):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "client_login_timeout": 1,
                         "auth_query": "SELECT $1::text, 'x' FROM pg_sleep(30)"}, userlist=LISTED,
                        databases={"slow": server_row(postgres), "down": f"host=127.0.0.1 port={nobody.getsockname()[1]}"})
        error = told(wire(pooler), user="dora", database=database)
        assert (error["S"], error["M"]) == ("FATAL", "client_login_timeout")
        assert error["D"] == f'auth_query in database "{database}" has not been answered'


def test_members_of_groups_are_cached_like_secrets(ruled, postgres, query_user):
    """One question for each name and group, and one for the user himself; also when the answer is no."""
    postgres.execute("GRANT pg_monitor TO dora")
    pooler = ruled("host all +pg_monitor 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n", userlist=LISTED,
                   config={"auth_user": query_user, "auth_dbname": "auth", "auth_query_ttl": "1h"},
                   databases={DATABASE: server_row(postgres), "auth": server_row(postgres)})
    for _ in range(3):
        assert pooler.query("SELECT current_user", user="dora") == [("dora",)]
        assert "login rejected" in refusal(pooler, user="nora")
    assert counted(pooler) == 3


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_the_unix_socket_needs_no_tls_for_a_database_either(pgweir, authority, postgres, mode):
    pooler = pgweir(client_side(authority), databases={DATABASE: server_row(postgres, f"client_tls_sslmode={mode}")})
    assert pooler.query("SELECT 1", host=str(pooler.directory)) == [(1,)]
    assert "SSL required" in refusal(pooler)


@pytest.mark.parametrize("mode, config, missing", [
    ("verify-ca", {"client_tls_ca_file": None}, "client_tls_ca_file"),
    ("require", {"client_tls_sslmode": "disable"}, 'client_tls_sslmode to be more than "disable" for all')])
def test_what_a_row_asks_of_clients_must_be_possible(pgweir, authority, postgres, mode, config, missing):
    """By a reload nothing changes then; by SET neither."""
    pooler = pgweir(client_side(authority))
    pooler.change_config("databases", other=server_row(postgres, f"client_tls_sslmode={mode}"))
    pooler.reload()
    assert pooler.query("SELECT 1", "other", **verified(authority, **certificate(authority, "alice"))) == [(1,)]
    if mode == "verify-ca":
        assert "connection requires a valid client certificate" in refusal(pooler, db="other", **verified(authority))
    pooler.change_config(**config)
    with pytest.raises(psycopg.Error) as caught:
        pooler.console("RELOAD")
    assert f'TLS setup failed: database "other": its client_tls_sslmode needs {missing}' in str(caught.value)


def test_authorities_may_be_those_of_a_host_name_alone(pgweir, authority, postgres):
    names = {"localhost": f"cert_file={authority['server.crt']} key_file={authority['server.key']} ca_file={authority['ca.crt']}"}
    pooler = started(pgweir(client_side(authority, client_tls_ca_file=None), sections={"tls": names}, start=False,
                            databases={DATABASE: server_row(postgres, "client_tls_sslmode=verify-ca")}))
    assert pooler.query("SELECT 1", **verified(authority, **certificate(authority, "alice"))) == [(1,)]
    assert "connection requires a valid client certificate" in refusal(pooler, **verified(authority))


def test_keys_of_a_user_are_those_of_the_database(pgweir, postgres, postgres18):
    """Two servers with the same password, and a secret each: the salt is another."""
    roles = [(server, "CREATE ROLE asker_of_both SUPERUSER LOGIN") for server in (postgres, postgres18)]
    for server, sql in roles:
        server.execute(sql)
    try:
        pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": "asker_of_both", "pool_mode": "transaction"},
                        databases={"old": server_row(postgres), "new": server_row(postgres18)},
                        userlist={ADMIN: password_of(ADMIN)})
        with pooler.connect("old", "scram") as old, pooler.connect("new", "scram") as new:
            first = [connection.execute("SHOW server_version_num").fetchone() for connection in (old, new)]
            assert first[0] != first[1]
            end_servers(pooler, "scram", postgres, postgres18)
            assert [connection.execute("SHOW server_version_num").fetchone() for connection in (old, new)] == first
    finally:
        for server, _ in roles:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'asker_of_both'")
            server.execute("DROP ROLE asker_of_both")


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
def test_modes_that_do_not_verify_take_any_server(pgweir, authority, tls_postgres, mode):
    """As in PgBouncer, and unlike libpq, also when there is a file of authorities."""
    pooler = pgweir({"server_tls_sslmode": mode, "server_tls_ca_file": authority["stranger/ca.crt"]})
    assert pooler.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]


def test_rules_may_hold_for_one_database_or_user(pgweir, postgres):
    pooler = pgweir({"auth_type": "plain", "auth_hba_file": "hba.conf"}, users={"bob": "auth_type=hba"}, start=False,
                    databases={DATABASE: server_row(postgres), "ruled": server_row(postgres, "auth_type=hba")})
    rules(pooler, "host ruled alice all trust\nhost test bob all trust\n", reload=False)
    pooler.start()
    assert pooler.query("SELECT current_user", "ruled", password="x") == [("alice",)]
    assert pooler.query("SELECT current_user", user="bob", password="x") == [("bob",)]
    assert "no authentication method is found" in refusal(pooler, db="ruled", user="bob")
    assert "password authentication failed" in refusal(pooler, password="x")


def test_a_row_of_nulls_is_no_user(pgweir, postgres, query_user):
    """What a function with OUT parameters answers when it has found nobody."""
    query = "SELECT r.u, r.p FROM (SELECT 1) x LEFT JOIN (SELECT rolname u, rolpassword p FROM pg_authid WHERE rolname = $1) r ON true;"
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_query": query}, userlist=LISTED)
    assert pooler.query("SELECT current_user", user="dora") == [("dora",)]
    for user in ("dora", "nobody"):
        assert "SASL authentication failed" in refusal(pooler, user=user, password="x")


@pytest.mark.parametrize("method", ["plain", "md5"])
@pytest.mark.parametrize("answer", [b"", b"x", b"alice-secret", b"alice-secret\0junk", b"alice-secret\0\0", b"md5" + b"0" * 32 + b"\0x"])
def test_a_password_with_something_behind_it_is_none(pgweir, wire, method, answer):
    connection = wire(pgweir({"auth_type": method}))
    connection.startup(login=False)
    assert connection.read_message()[0] == b"R"
    connection.send(b"p", answer)
    error = connection.read_error()
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "08P01", "malformed password message")
    connection.expect_closed()


@pytest.mark.parametrize("settings", [
    {"auth_hba_file": "/nonexistent"}, {"client_tls_cert_file": "/nonexistent", "client_tls_key_file": "/nonexistent"},
    {"server_tls_sslmode": "disable", "server_tls_ca_file": "/nonexistent"},
    {"server_tls_sslmode": "disable", "server_tls_cert_file": "/nonexistent", "server_tls_key_file": "/nonexistent"}], ids=str)
def test_files_that_nothing_asks_for_need_not_be_there(pgweir, settings):
    """As in PgBouncer: they were left over when the mode was changed."""
    assert pgweir(settings).query("SELECT 1") == [(1,)]


def test_own_addresses_are_those_of_the_machine(ruled):
    """127.0.0.1 is the machine's, with 255.0.0.0; no other address of that network is."""
    pooler = ruled("host all alice samehost trust\nhost all bob samenet trust\n")

    def comes(source, user):
        with Wire(pooler, source=source) as connection:
            connection.startup(login=False, user=user)
            return connection.read_message()[0]

    assert [comes(source, user) for source in ("127.0.0.1", "127.0.0.2") for user in ("alice", "bob")] == [b"R", b"R", b"E", b"R"]


def test_any_lets_everybody_look_at_the_console(pgweir, postgres):
    """Contract, 15: with auth_type any everybody has stats rights there, and admin_users theirs by name."""
    pooler = pgweir({"auth_type": "any"}, databases={"forced": server_row(postgres, "user=bob")})
    with pooler.connect("pgbouncer", "whoever") as connection:
        assert connection.execute("SHOW DATABASES").fetchall()
        with pytest.raises(psycopg.Error, match="admin access needed"):
            connection.execute("RELOAD")
    assert pooler.console("SHOW VERSION", user=ADMIN)


@pytest.mark.parametrize("method", ["trust", "cert"])
def test_a_row_of_users_makes_its_user_known(pgweir, authority, method):
    """As in PgBouncer, for methods that need no secret."""
    mode = "verify-full" if method == "cert" else "allow"
    pooler = started(pgweir(client_side(authority, mode, auth_type=method), users={"alice": "pool_mode=session"}, userlist={},
                            start=False))
    assert pooler.query("SELECT current_user", **verified(authority, **certificate(authority, "alice"))) == [("alice",)]


def test_cert_in_a_host_rule_is_for_those_who_come_with_tls(ruled, authority):
    """PostgreSQL wants hostssl; PgBouncer has always taken it."""
    pooler = ruled("host all all 127.0.0.1/32 cert clientname=CN clientcert=verify-full\n", config=client_side(authority))
    assert pooler.query("SELECT current_user", **verified(authority, **certificate(authority, "alice"))) == [("alice",)]
    assert "connection requires a valid client certificate" in refusal(pooler, **verified(authority))
    assert "connection requires a valid client certificate" in refusal(pooler, sslmode="disable")


def test_who_was_unknown_a_while_ago_is_asked_about_again(pgweir, postgres, query_user):
    """By trust no password can be wrong; the answer is held against nobody for longer than a second."""
    pooler = pgweir({"auth_type": "trust", "auth_user": query_user, "auth_query_ttl": "1h"}, userlist=LISTED)

    def gets_in():
        with contextlib.suppress(psycopg.OperationalError):
            return pooler.query("SELECT current_user", user="late") == [("late",)]

    assert '"trust" authentication failed' in refusal(pooler, user="late")
    postgres.execute("CREATE ROLE late LOGIN")
    try:
        wait_until(gets_in, what="a role that is new")
    finally:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'late'")
        postgres.execute("DROP ROLE late")
