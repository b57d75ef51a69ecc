# SPDX-License-Identifier: ISC
"""What clients' own logins taught about logging in to servers outlives the servers that it was used for: RECONNECT, a
RELOAD of the database's row, and the end of every server cost no client its session."""
import socket
import struct

import psycopg
import pytest
from conftest import ADMIN, DATABASE, password_of, wait_until
from helpers import Background, end_servers, server_row
from test_auth import LISTED, rules
from test_login import scram_secret

KINDS = ("scram_listed", "scram_queried", "md5_queried", "typed_for_plain", "typed_for_pam")


def reconnect(pooler, postgres):
    pooler.console("RECONNECT")


def other_host(pooler, postgres):
    pooler.change_config("databases", test=server_row(postgres).replace("127.0.0.1", "localhost"))
    pooler.reload()


def other_query(pooler, postgres):
    pooler.change_config("databases", test=server_row(postgres, "connect_query='SELECT 1'"))
    pooler.reload()


def other_tls(pooler, postgres):
    pooler.change_config(server_tls_sslmode="disable")
    pooler.reload()


def killed(pooler, postgres):
    for role in ("scram", "md5"):
        end_servers(pooler, role, postgres)


@pytest.mark.parametrize("how", [reconnect, other_host, other_query, other_tls, killed])
@pytest.mark.parametrize("kind", KINDS)
def test_servers_are_replaced_and_clients_stay(pgweir, postgres, query_user, pam_service, kind, how):
    role = "md5" if kind.startswith("md5") else "scram"
    secret = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,))[0]["rolpassword"]
    listed = {**LISTED, role: secret} if kind == "scram_listed" else \
        {**LISTED, role: scram_secret(password_of(role))} if kind == "typed_for_plain" else LISTED
    config = {"pool_mode": "transaction", "auth_type": kind.rsplit("_")[-1] if kind.startswith("typed") else
              "md5" if role == "md5" else "scram-sha-256"}
    if kind.endswith("queried"):
        config["auth_user"] = query_user
    if kind == "typed_for_pam":
        config.update(auth_type="trust", auth_pam_service=pam_service)
    pooler = pgweir(config, databases={"test": server_row(postgres)}, userlist=listed,
                    users={role: "auth_type=pam"} if kind == "typed_for_pam" else None)
    with pooler.connect(user=role) as stays:
        first = stays.execute("SELECT pg_backend_pid()").fetchone()
        how(pooler, postgres)
        assert stays.execute("SELECT current_user").fetchone() == (role,)
        assert stays.execute("SELECT pg_backend_pid()").fetchone() != first
    assert pooler.query("SELECT current_user", user=role) == [(role,)]


def test_whoever_knows_the_password_is_not_kept_out_by_those_who_came_before(pgweir, postgres, query_user):
    """Behind a RECONNECT: the next login is the one that can be served, whatever became of the others."""
    pooler = pgweir({"pool_mode": "transaction", "auth_type": "scram-sha-256", "auth_user": query_user}, userlist=LISTED)
    with pooler.connect(user="scram") as stays:
        stays.execute("SELECT 1")
        pooler.console("RECONNECT")
        try:
            stays.execute("SELECT 1")
        except psycopg.OperationalError:
            pass
        assert pooler.query("SELECT current_user", user="scram") == [("scram",)]


@pytest.mark.parametrize("how", ["listed", "queried"])
def test_a_new_password_serves_at_once_whatever_the_old_one_met(pgweir, postgres, query_user, how):
    """An old client's key has failed at the server; who comes with the right one need not wait for server_login_retry."""
    def secret():
        return postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'")[0]["rolpassword"]
    config = {"auth_user": query_user, "auth_query_ttl": 0} if how == "queried" else {}
    pooler = pgweir({"auth_type": "scram-sha-256", "pool_mode": "transaction", **config},
                    userlist=LISTED if how == "queried" else {**LISTED, "scram": secret()})
    try:
        with pooler.connect(user="scram") as old:
            old.execute("SELECT 1")
            postgres.execute("ALTER ROLE scram PASSWORD 'new'")
            end_servers(pooler, "scram", postgres)
            with pytest.raises(psycopg.Error):
                old.execute("SELECT 1")
        if how == "listed":
            pooler.write_userlist({**LISTED, "scram": secret()})
            pooler.reload()
        assert pooler.query("SELECT current_user", user="scram", password="new") == [("scram",)]
    finally:
        postgres.execute("ALTER ROLE scram PASSWORD %s" % repr(password_of("scram")))


def test_who_brings_a_password_is_served_after_who_has_none(pgweir, postgres):
    """The same user, trusted over the Unix socket: no server takes him. Over TCP he proves who he is, and is served."""
    secret = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'")[0]["rolpassword"]
    pooler = pgweir({"auth_type": "hba", "auth_hba_file": "hba.conf"}, userlist={ADMIN: "", "scram": secret}, start=False)
    rules(pooler, f"local all all trust\nhost all {ADMIN} all trust\nhost all all all scram-sha-256\n", reload=False)
    pooler.start()
    with pytest.raises(psycopg.OperationalError, match="no usable password"):
        pooler.connect(user="scram", host=str(pooler.directory))
    assert pooler.query("SELECT current_user", user="scram") == [("scram",)]


def test_who_waited_is_served_when_another_brings_the_new_password(pgweir, postgres, query_user):
    pooler = pgweir({"auth_type": "scram-sha-256", "pool_mode": "transaction", "default_pool_size": 2, "auth_user": query_user,
                     "auth_query_ttl": 0, "server_login_retry": 3600}, userlist=LISTED)
    try:
        with pooler.connect(user="scram") as holds, pooler.connect(user="scram") as waits:
            holds.execute("BEGIN")
            postgres.execute("ALTER ROLE scram PASSWORD 'new'")
            job = Background(lambda: waits.execute("SELECT current_user").fetchone())
            pooler.wait_for_log("server login failed: ")
            with pooler.connect(user="scram", password="new"):
                assert job.result() == ("scram",)
    finally:
        postgres.execute("ALTER ROLE scram PASSWORD %s" % repr(password_of("scram")))


def test_what_is_new_at_each_login_does_not_make_as_many_at_the_server(pgweir, postgres):
    """Typed passwords and SCRAM keys, by turns: both are right here, and wrong there."""
    pooler = pgweir({"auth_type": "hba", "auth_hba_file": "hba.conf", "server_login_retry": 3600},
                    userlist={ADMIN: "", "scram": scram_secret("other")}, start=False)
    rules(pooler, f"local all all scram-sha-256\nhost all {ADMIN} all trust\nhost all all all password\n", reload=False)
    pooler.start()
    for turn in range(20):
        with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "scram"'):
            pooler.connect(user="scram", password="other", **({"host": str(pooler.directory)} if turn % 2 else {}))
    assert pooler.log().count("server login failed: ") == 6  # the first, and as often as it may be tried again in a pause


@pytest.mark.parametrize("method", ["trust", "scram-sha-256"])
def test_what_was_typed_for_pam_does_not_outlive_pam(pgweir, postgres, pam_service, method):
    pooler = pgweir({"auth_type": "pam", "auth_pam_service": pam_service, "server_login_retry": 3600},
                    userlist={ADMIN: "", "scram": "new"}, users={ADMIN: "auth_type=trust"})
    assert pooler.query("SELECT current_user", user="scram") == [("scram",)]
    try:
        postgres.execute("ALTER ROLE scram PASSWORD 'new'")
        pooler.change_config(auth_type=method)
        pooler.reload()
        pooler.console("RECONNECT")
        assert pooler.query("SELECT current_user", user="scram", password="new") == [("scram",)]
    finally:
        postgres.execute("ALTER ROLE scram PASSWORD %s" % repr(password_of("scram")))


def test_an_old_secret_that_is_refused_does_not_harm_who_brings_the_new(pgweir, wire):
    """Its login was under way when the new one came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        pooler = pgweir({"auth_type": "plain", "server_login_retry": 3600, "server_tls_sslmode": "disable", "max_server_logins": 1},
                        databases={DATABASE: f"host=127.0.0.1 port={listener.getsockname()[1]}"},
                        userlist={ADMIN: password_of(ADMIN), "bob": scram_secret("old")})

        def log_in(password):
            connection = wire(pooler)
            connection.startup(login=False, user="bob")
            assert connection.read_message() == (b"R", b"\0\0\0\3")
            connection.send(b"p", password + b"\0")
            return connection

        def asked():
            server = listener.accept()[0]
            server.settimeout(20)
            server.recv(1000)
            server.sendall(b"R" + struct.pack("!II", 8, 3))
            return server, server.recv(1000)[5:-1]

        old = log_in(b"old")
        server, heard = asked()
        assert heard == b"old"
        pooler.write_userlist({ADMIN: password_of(ADMIN), "bob": scram_secret("new")})
        pooler.reload()
        new = log_in(b"new")
        wait_until(lambda: sum(row["cl_waiting"] for row in pooler.console("SHOW POOLS")) == 2, what="both to be let in")
        with server:
            fields = b"SFATAL\0VFATAL\0C28P01\0Mno\0\0"
            server.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        server, heard = asked()
        assert heard == b"new"
        with server:
            server.sendall(b"R" + struct.pack("!II", 8, 0) + b"K" + struct.pack("!III", 12, 1, 2) + b"Z" + struct.pack("!I", 5) + b"I")
            for connection in (old, new):
                connection.read_until(b"Z")
