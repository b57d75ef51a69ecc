# SPDX-License-Identifier: ISC
"""Who is let in and how, towards clients and towards PostgreSQL; what the others are told."""
import base64
import hashlib
import hmac
import re
import select
import socket
import time

import psycopg
import pytest
from conftest import ADMIN, DATABASE, ROLES, covers, password_of, wait_until
from helpers import Background, refusal, server_row, servers


def scram_secret(password, salt=b"0123456789abcdef", iterations=4096):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key, server_key = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client_key).digest()
    base = [base64.b64encode(part).decode() for part in (salt, stored, server_key)]
    return f"SCRAM-SHA-256${iterations}:{base[0]}${base[1]}:{base[2]}"


def md5_secret(name):
    return "md5" + hashlib.md5((password_of(name) + name).encode()).hexdigest()


def scram_refusal(connection, user, nonce=b"rOprNGfwEbeRWgbNEkqO", proof=b"\0" * 32):
    """Log in by hand with a wrong proof; answers the server's first SCRAM message and the fields of the error."""
    connection.startup(login=False, user=user)
    kind, body = connection.read_message()
    assert kind == b"R" and body[:4] == b"\0\0\0\x0a" and b"SCRAM-SHA-256\0" in body
    first = b"n,,n=,r=" + nonce
    connection.send(b"p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big") + first)
    kind, body = connection.read_message()
    assert kind == b"R" and body[:4] == b"\0\0\0\x0b"
    challenge = body[4:]
    server_nonce = re.match(rb"r=([^,]+),s=[^,]+,i=\d+$", challenge).group(1)
    assert server_nonce.startswith(nonce) and len(server_nonce) > len(nonce) + 10
    connection.send(b"p", b"c=biws,r=" + server_nonce + b",p=" + base64.b64encode(proof))
    error = connection.read_error()
    connection.expect_closed()
    return challenge, error


# ---- trust ----


def test_trust_lets_known_users_in_without_a_password(pgweir, wire):
    pooler = pgweir({"auth_type": "trust"})
    connection = wire(pooler)
    assert connection.startup(user="alice")[0] == (b"R", b"\0\0\0\0")
    assert connection.rows(connection.query("SELECT current_user")) == [[b"alice"]]


@pytest.mark.parametrize("user", ["nobody", "ALICE", "alice ", "a" * 127, "älice"])
def test_trust_refuses_unknown_users(pgweir, wire, user):
    error = refusal(wire(pgweir({"auth_type": "trust"})), user=user)
    assert (error["S"], error["C"]) == ("FATAL", "28000")
    assert error["M"] == '"trust" authentication failed'


def test_an_unknown_database_is_told_only_after_authentication(pgweir, wire):
    trusting = pgweir({"auth_type": "trust"})
    error = refusal(wire(trusting), user="alice", database="none")
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "3D000", "no such database: none")
    assert refusal(wire(trusting), user="nobody", database="none")["C"] == "28000"
    pooler = pgweir({"auth_type": "scram-sha-256"})
    connection = wire(pooler)
    connection.startup(login=False, database="none")
    assert connection.read_message()[1].startswith(b"\0\0\0\x0a")
    with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
        pooler.connect("none", password="wrong")
    with pytest.raises(psycopg.OperationalError, match="no such database: none"):
        pooler.connect("none")


# ---- SCRAM from clients ----


@pytest.mark.parametrize("secret", [password_of("alice"), scram_secret(password_of("alice")),
                                    scram_secret(password_of("alice"), b"x" * 3, 20_000)], ids=["plain", "scram", "scram-20000"])
def test_scram_with_each_kind_of_secret(pgweir, wire, secret):
    pooler = pgweir({"auth_type": "scram-sha-256"}, userlist={ADMIN: password_of(ADMIN), "alice": secret})
    assert pooler.query("SELECT current_user") == [("alice",)]
    with pytest.raises(psycopg.OperationalError, match="FATAL:  SASL authentication failed"):
        pooler.connect(password="wrong")
    _, error = scram_refusal(wire(pooler), "alice")
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "28P01", "SASL authentication failed")


def test_scram_cannot_use_an_md5_secret(pgweir, wire):
    pooler = pgweir({"auth_type": "scram-sha-256"}, userlist={ADMIN: password_of(ADMIN), "alice": md5_secret("alice")})
    with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
        pooler.connect()


@pytest.mark.parametrize("password", ["with \"quotes\" and 'more'", "ünïcödé", "ab\u00adcd", " blanks ", "a" * 1000, "\\back;slash#"])
def test_unusual_passwords(pgweir, postgres, password):
    pooler = pgweir({"auth_type": "scram-sha-256"}, userlist={ADMIN: password_of(ADMIN), "alice": password})
    assert pooler.query("SELECT 1", password=password) == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
        pooler.connect(password=password + "x")


def test_unknown_users_look_like_wrong_passwords(pgweir, wire):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    (challenge, error), (mock, mock_error) = (scram_refusal(wire(pooler), user) for user in ("alice", "nobody"))
    assert error == mock_error
    assert (error["C"], error["M"]) == ("28P01", "SASL authentication failed")
    for one in (challenge, mock):
        salt, iterations = re.search(rb"s=([^,]+),i=(\d+)", one).groups()
        assert len(base64.b64decode(salt)) == 16 and iterations == b"4096"
    # Asked again, a real user shows the same salt and so must the unknown one.
    again, mock_again = (scram_refusal(wire(pooler), user)[0] for user in ("alice", "nobody"))
    salt_of = lambda text: re.search(rb"s=([^,]+)", text).group(1)
    assert (salt_of(again) == salt_of(challenge)) == (salt_of(mock_again) == salt_of(mock))
    assert salt_of(scram_refusal(wire(pooler), "nobody-else")[0]) != salt_of(mock)


def challenge_of(connection, user):
    """Salt and iterations that a stranger who knows the name is told."""
    return re.search(rb"s=([^,]+),i=(\d+)", scram_refusal(connection, user)[0]).groups()


def test_unknown_users_are_told_the_iterations_of_most(pgweir, wire):
    secrets = {name: scram_secret("x", iterations=count) for name, count in {"one": 5000, "two": 5000, "three": 6000}.items()}
    pooler = pgweir({"auth_type": "scram-sha-256"}, userlist={ADMIN: password_of(ADMIN), **secrets})
    assert [challenge_of(wire(pooler), user)[1] for user in ("one", "three", "nobody")] == [b"5000", b"6000", b"5000"]
    plain = {f"plain-{number}": "x" for number in range(3)}
    pooler.write_userlist({ADMIN: password_of(ADMIN), **secrets, **plain})
    pooler.reload()
    assert [challenge_of(wire(pooler), user)[1] for user in ("one", "plain-1", "nobody")] == [b"5000", b"4096", b"4096"]
    pooler.change_config(auth_type="md5")  # most are asked otherwise now
    pooler.write_userlist({ADMIN: password_of(ADMIN), **secrets, "plain": "x"})
    pooler.reload()
    assert challenge_of(wire(pooler), "nobody")[1] == b"5000"


def test_unknown_users_are_told_the_same_salt_after_a_restart(pgweir, wire, authority):
    """... and by another process of the same configuration: as those with a stored SCRAM secret are."""
    config = {"auth_type": "scram-sha-256", "client_tls_sslmode": "allow", "client_tls_key_file": authority["server.key"],
              "client_tls_cert_file": authority["server.crt"]}
    listed = {ADMIN: password_of(ADMIN), "alice": scram_secret("x"), "bob": "plain"}
    pooler = pgweir(config, userlist=listed)
    before = [challenge_of(wire(pooler), user) for user in ("alice", "bob", "nobody", "somebody")]
    assert len(set(before)) == 4
    pooler.write_userlist({**listed, "alice": scram_secret("y"), "carol": "another"})
    pooler.restart()
    assert [challenge_of(wire(pooler), user) for user in ("alice", "bob", "nobody", "somebody")] == before
    other = pgweir(config, userlist={ADMIN: password_of(ADMIN)})
    assert challenge_of(wire(other), "nobody") == before[2]


def test_unknown_users_take_as_long_as_wrong_passwords(pgweir, wire):
    pooler = pgweir({"auth_type": "scram-sha-256"}, userlist={ADMIN: password_of(ADMIN), "alice": scram_secret("x")})
    times = {"alice": [], "nobody": []}
    for _ in range(40):
        for user, taken in times.items():
            connection = wire(pooler)
            began = time.perf_counter()
            scram_refusal(connection, user)
            taken.append(time.perf_counter() - began)
    known, unknown = (min(taken) for taken in times.values())  # what a busy machine adds says nothing
    assert abs(known - unknown) < max(0.5 * known, 0.0005), (known, unknown)


def test_a_user_that_is_unknown_costs_no_server(pgweir, postgres):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    for user, password in (("nobody", "x"), ("alice", "wrong")):
        with pytest.raises(psycopg.OperationalError):
            pooler.connect(user=user, password=password)
    assert servers(pooler) == []


@pytest.mark.parametrize("answer", [
    b"SCRAM-SHA-1\0\0\0\0\x05n,,n=", b"SCRAM-SHA-256\0\xff\xff\xff\xff", b"SCRAM-SHA-256\0\0\0\0\x03n,,", b"", b"\0", b"SCRAM-SHA-256",
    b"SCRAM-SHA-256\0\0\0\0\x40n,,n=,r=short", b"SCRAM-SHA-256\0\0\0\0\x0fp=tls,,n=,r=abcd", b"SCRAM-SHA-256\0\0\0\0\x0by,,n=,r=\xff\xfe",
], ids=range(9))
def test_bad_sasl_answers_are_refused(pgweir, wire, answer):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    connection = wire(pooler)
    connection.startup(login=False)
    connection.read_message()
    connection.send(b"p", answer)
    messages = connection.read_rest()
    assert messages and messages[-1][0] == b"E"
    assert connection.fields(messages[-1][1])["S"] == "FATAL"
    assert connection.fields(messages[-1][1])["C"] in ("28P01", "28000", "08P01")
    assert pooler.query("SELECT 1") == [(1,)]


def test_a_query_before_the_password_is_refused(pgweir, wire):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    connection = wire(pooler)
    connection.startup(login=False)
    connection.read_message()
    connection.send(b"Q", b"SELECT 'let me in'\0")
    messages = connection.read_rest()
    assert connection.kinds(messages) == b"E" and connection.fields(messages[0][1])["S"] == "FATAL"


def test_many_log_in_at_once(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256", "max_client_conn": 200, "default_pool_size": 5, "pool_mode": "transaction"})
    jobs = [Background(pooler.query, "SELECT current_user", DATABASE, ("alice", "bob", "scram", "md5")[n % 4]) for n in range(80)]
    assert [job.result() for job in jobs] == [[(("alice", "bob", "scram", "md5")[n % 4],)] for n in range(80)]


def test_a_changed_password_counts_after_reload(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    with pooler.connect() as stays:
        pooler.write_userlist({**pooler.users, "alice": "new"})
        pooler.reload()
        with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
            pooler.connect()
        assert pooler.query("SELECT 1", password="new") == [(1,)]
        assert stays.execute("SELECT 1").fetchone() == (1,)
        pooler.write_userlist({ADMIN: pooler.users[ADMIN], "bob": password_of("bob")})
        pooler.reload()
        with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
            pooler.connect(password="new")


@covers("client_login_timeout")
def test_client_login_timeout_ends_who_does_not_log_in(pgweir, wire):
    pooler = pgweir({"auth_type": "scram-sha-256", "client_login_timeout": 1})
    silent, asked = wire(pooler), wire(pooler)
    asked.startup(login=False)
    asked.read_message()
    began = time.monotonic()
    for connection in (silent, asked):
        error = connection.read_error()
        assert error["S"] == "FATAL" and error["M"].startswith("client_login_timeout")
        connection.expect_closed()
    assert 0.5 < time.monotonic() - began < 2.5


# ---- towards PostgreSQL ----


@covers("auth_file")
@pytest.mark.parametrize("role", ["alice", "cleartext", "md5", "scram"])
@pytest.mark.parametrize("given", ["auth_file", "row"])
def test_each_method_towards_postgresql(pgweir, postgres, role, given):
    """alice is trusted; the others are asked as their name says. The password is in auth_file, or in the row."""
    if given == "auth_file":
        pooler = pgweir()
        assert pooler.query("SELECT current_user, session_user", user=role) == [(role, role)]
    else:
        pooler = pgweir(databases={DATABASE: server_row(postgres, f"user={role} password='{password_of(role)}'")})
        for user in ("alice", "bob"):
            assert pooler.query("SELECT current_user", user=user) == [(role,)]
        assert {r["user"] for r in servers(pooler)} == {role}


@covers("user", scope="database")
@pytest.mark.parametrize("role,secret", [
    ("md5", md5_secret("md5")), ("cleartext", password_of("cleartext")), ("scram", password_of("scram")),
])
def test_the_user_of_a_row_without_a_password_is_looked_up(pgweir, postgres, role, secret):
    pooler = pgweir(databases={DATABASE: server_row(postgres, f"user={role}")},
                    userlist={ADMIN: "", "alice": "", role: secret})
    assert pooler.query("SELECT current_user", user="alice") == [(role,)]


@pytest.mark.parametrize("role", ["cleartext", "md5", "scram"])
def test_a_wrong_password_towards_postgresql_is_told_in_its_words(pgweir, postgres, wire, role):
    pooler = pgweir(databases={DATABASE: server_row(postgres, f"user={role} password=wrong")})
    error = refusal(wire(pooler), user="alice")
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "28P01", f'password authentication failed for user "{role}"')


def test_a_missing_database_is_told_in_postgresql_s_words(pgweir, postgres, wire):
    pooler = pgweir(databases={"gone": server_row(postgres, dbname="no_such_database"), DATABASE: server_row(postgres)})
    error = refusal(wire(pooler), database="gone")
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "3D000", 'database "no_such_database" does not exist')
    assert pooler.query("SELECT 1") == [(1,)]


def test_a_role_that_postgresql_rejects_is_told_in_its_words(pgweir, postgres, wire):
    with postgres.hba("host all bob 127.0.0.1/32 reject"):
        error = refusal(wire(pgweir()), user="bob")
    assert (error["S"], error["C"]) == ("FATAL", "28000") and "pg_hba.conf rejects connection" in error["M"]
    assert pgweir().query("SELECT 1", user="bob") == [(1,)]


def test_all_who_wait_are_told_by_one_login(pgweir, postgres, wire):
    pooler = pgweir({"server_login_retry": 30}, databases={"gone": server_row(postgres, dbname="no_such_database")})
    before = postgres.log().count('database "no_such_database" does not exist')
    connections = [wire(pooler) for _ in range(10)]
    for connection in connections:
        connection.startup(login=False, database="gone")
    for connection in connections:
        error = connection.read_error()
        assert error["C"] == "3D000"
    assert postgres.log().count('database "no_such_database" does not exist') - before <= 4


@covers("server_login_retry")
def test_a_role_mended_is_served_after_server_login_retry(pgweir, postgres):
    postgres.execute("DROP ROLE IF EXISTS later")
    pooler = pgweir({"server_login_retry": 1}, userlist={**{r: password_of(r) for r in (ADMIN, *ROLES)}, "later": "x"})
    with pytest.raises(psycopg.OperationalError, match='role "later" does not exist'):
        pooler.connect(user="later")
    postgres.execute("CREATE ROLE later LOGIN")

    def served():
        try:
            return pooler.query("SELECT current_user", user="later") == [("later",)]
        except psycopg.OperationalError as error:
            assert 'role "later" does not exist' in str(error)
            return False

    wait_until(served, 5)
    postgres.execute("DROP ROLE later")


# ---- max_client_conn ----


@covers("max_client_conn")
def test_max_client_conn_refuses_the_next(pgweir, wire):
    pooler = pgweir({"max_client_conn": 3})
    clients = [wire(pooler) for _ in range(3)]
    for client in clients:
        client.startup()
    for _ in range(5):
        refused = wire(pooler)
        error = refusal(refused)
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "53300", "no more connections allowed (max_client_conn)")
        refused.close()
    assert pooler.console("SHOW VERSION")  # the console is exempt
    clients[0].close()
    wait_until(lambda: len([r for r in pooler.console("SHOW CLIENTS") if r["database"] == DATABASE]) == 2)
    assert wire(pooler).startup()[-1] == (b"Z", b"I")


def test_the_refused_who_do_not_close_take_no_place(pgweir, wire):
    pooler = pgweir({"max_client_conn": 2})
    clients = [wire(pooler) for _ in range(2)]
    for client in clients:
        client.startup()
    for _ in range(5):
        refusal(wire(pooler))  # it stays open on its side
    clients[0].close()
    wait_until(lambda: len([r for r in pooler.console("SHOW CLIENTS") if r["database"] == DATABASE]) == 1)
    assert wire(pooler).startup()[-1] == (b"Z", b"I")


def test_connections_that_do_not_log_in_do_not_lock_others_out_for_ever(pgweir):
    pooler = pgweir({"max_client_conn": 5, "client_login_timeout": 1})
    silent = [socket.create_connection((pooler.host, pooler.port)) for _ in range(20)]

    def served():
        try:
            return pooler.query("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    wait_until(served, 5)
    for connection in silent:
        connection.close()


def test_a_flood_at_the_door_is_refused_there_and_keeps_nobody_out(pgweir, wire):
    pooler = pgweir({"max_client_conn": 4, "client_login_timeout": 60})
    silent = [wire(pooler) for _ in range(124)]

    # Refused before they say anything: they need not even begin TLS. (Those who came last; or the first, if a second has passed.)
    def refused():
        return select.select([connection.socket for connection in silent], [], [], 0)[0]

    wait_until(lambda: len(refused()) >= 20, 10)
    for connection in silent:
        if connection.socket in refused():
            error = connection.read_error()
            assert (error["C"], error["M"]) == ("53300", "no more connections allowed (max_client_conn)")
    # Administrators get in over the Unix socket whatever is going on.
    with pooler.connect("pgbouncer", ADMIN, host=str(pooler.directory)) as console:
        assert console.execute("SHOW VERSION").fetchone()

    def served():
        try:
            return pooler.query("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    # Who has said nothing for a while makes room, long before client_login_timeout.
    wait_until(served, 20)
    for _ in range(20):
        assert served()


# ---- secrets ----


def test_secrets_are_never_shown_or_logged(pgweir, postgres):
    pooler = pgweir({"auth_type": "scram-sha-256", "verbose": 2},
                    databases={DATABASE: server_row(postgres, f"user=scram password='{password_of('scram')}'"),
                               "wrong": server_row(postgres, "user=md5 password=not-the-password")})
    pooler.query("SELECT 1", password=password_of("alice"))
    with pytest.raises(psycopg.OperationalError):
        pooler.connect("wrong")
    with pytest.raises(psycopg.OperationalError):
        pooler.connect(password="a-typo-of-the-password")
    shown = pooler.log()
    for command in ("CONFIG", "DATABASES", "USERS", "CLIENTS", "SERVERS", "POOLS"):
        shown += str(pooler.console(f"SHOW {command}"))
    for secret in (*map(password_of, (ADMIN, *ROLES)), "not-the-password", "a-typo-of-the-password"):
        assert secret not in shown


def test_names_cannot_forge_log_lines(pgweir, wire):
    pooler = pgweir()
    refusal(wire(pooler), user="evil\nLOG forged line", database="\x1b[31mred\r\n")
    assert "\nLOG forged" not in pooler.log() and "\x1b" not in pooler.log() and "\r" not in pooler.log()
