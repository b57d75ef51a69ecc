# SPDX-License-Identifier: ISC
"""Every method of authentication towards clients, with real PostgreSQL behind: secrets of each kind, auth_query, rules,
maps, PAM and LDAP; what is told to whom, and what stays secret."""
import contextlib
import getpass
import hashlib
import pathlib
import re
import socket
import statistics
import struct
import subprocess
import time

import psycopg
import pytest
from conftest import ADMIN, DATABASE, Unprivileged, Wire, covers, free_port, password_of, temporary_directory, wait_until
from helpers import Background, end_servers, server_row
from nameserver import NameServer
from services import CONSOLE
from test_login import challenge_of, md5_secret, scram_secret


def refusal(pooler, **more):
    with pytest.raises(psycopg.OperationalError) as caught:
        pooler.connect(**more)
    return str(caught.value)


# ---- the table of stored secrets and methods (contract, 5) ----

STORED = {"plain": password_of, "md5": md5_secret, "scram": lambda name: scram_secret(password_of(name)), "empty": lambda name: ""}
LETS_IN = {("plain", "plain"), ("plain", "md5"), ("plain", "scram-sha-256"), ("md5", "plain"), ("md5", "md5"),
           ("scram", "plain"), ("scram", "md5"), ("scram", "scram-sha-256")}


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
@pytest.mark.parametrize("stored", STORED)
def test_each_secret_with_each_method(pgweir, stored, method):
    pooler = pgweir({"auth_type": method}, userlist={ADMIN: password_of(ADMIN), "alice": STORED[stored]("alice")})
    if (stored, method) in LETS_IN:
        assert pooler.query("SELECT current_user") == [("alice",)]
    wrong = "SASL authentication failed" if method == "scram-sha-256" or (stored, method) == ("scram", "md5") else \
        "password authentication failed"
    assert wrong in refusal(pooler, password="wrong")
    if (stored, method) not in LETS_IN:
        assert "authentication failed" in refusal(pooler)
        assert "authentication failed" in refusal(pooler, password=STORED[stored]("alice") or "x")
    if method == "plain":
        with pytest.raises(psycopg.OperationalError, match="empty password returned by client"):
            raw_password(pooler, "")
    assert password_of("alice") not in pooler.log()


def raw_password(pooler, password):
    """Log in by hand with a password in clear text."""
    with Wire(pooler) as connection:
        connection.startup(login=False)
        assert connection.read_message() == (b"R", b"\0\0\0\3")
        connection.send(b"p", password.encode() + b"\0")
        kind, body = connection.read_message()
        if kind == b"E":
            raise psycopg.OperationalError(connection.fields(body)["M"])


@pytest.mark.parametrize("stored", ["plain", "md5", "scram"])
@pytest.mark.parametrize("asks", ["scram-sha-256", "md5", "password"])
def test_each_secret_towards_each_way_of_the_server(pgweir, postgres, stored, asks):
    """What we hold is used if it can be, and never handed over as it is stored."""
    role = {"scram-sha-256": "scram", "md5": "md5", "password": "cleartext"}[asks]
    secret = STORED[stored](role)
    if stored == "scram":  # pass-through wants the very secret that the server has
        secret = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,))[0]["rolpassword"]
        if not secret.startswith("SCRAM"):
            secret = scram_secret(password_of(role))
    pooler = pgweir({"auth_type": "md5"}, userlist={ADMIN: password_of(ADMIN), role: secret})
    works = stored == "plain" or (stored, asks) in {("md5", "md5"), ("scram", "scram-sha-256")}
    if works:
        assert pooler.query("SELECT current_user", user=role) == [(role,)]
    else:
        assert f'no usable password for user "{role}"' in refusal(pooler, user=role)
    assert secret not in pooler.log() and password_of(role) not in pooler.log()


@pytest.mark.parametrize("role", ["scram", "md5", "cleartext"])
@pytest.mark.parametrize("stored", ["plain", "md5", "scram"])
def test_a_password_typed_for_plain_serves_every_way_of_the_server(pgweir, postgres, stored, role):
    pooler = pgweir({"auth_type": "plain"}, userlist={ADMIN: password_of(ADMIN), role: STORED[stored](role)})
    assert pooler.query("SELECT current_user", user=role) == [(role,)]
    assert password_of(role) not in pooler.log()


@pytest.mark.parametrize("stored", ["plain", "md5"])
def test_what_is_listed_anew_comes_before_what_was_typed_for_plain(pgweir, postgres, stored):
    secret = {"plain": "changed", "md5": "md5" + hashlib.md5(b"changed" + b"md5").hexdigest()}[stored]
    pooler = pgweir({"auth_type": "plain", "pool_mode": "transaction"}, userlist={ADMIN: password_of(ADMIN), "md5": STORED[stored]("md5")})
    try:
        with pooler.connect(user="md5") as held:
            held.execute("SELECT 1")
            postgres.execute("SET password_encryption = 'md5'; ALTER ROLE md5 PASSWORD 'changed'")
            pooler.write_userlist({ADMIN: password_of(ADMIN), "md5": secret})
            pooler.reload()
            end_servers(pooler, "md5", postgres)
            assert held.execute("SELECT current_user").fetchone() == ("md5",)
    finally:
        postgres.execute(f"SET password_encryption = 'md5'; ALTER ROLE md5 PASSWORD '{password_of('md5')}'")


def test_a_forced_user_logs_in_with_its_own_secret(pgweir, postgres):
    pooler = pgweir({"auth_type": "scram-sha-256"}, databases={
        "by_list": server_row(postgres, "user=md5"), "by_row": server_row(postgres, f"user=scram password={password_of('scram')}")},
        userlist={ADMIN: password_of(ADMIN), "alice": scram_secret(password_of("alice")), "md5": md5_secret("md5")})
    assert pooler.query("SELECT current_user", "by_list") == [("md5",)]
    assert pooler.query("SELECT current_user", "by_row") == [("scram",)]


def test_any_takes_every_name_and_needs_a_forced_user(pgweir, postgres):
    pooler = pgweir({"auth_type": "any"}, databases={"forced": server_row(postgres, "user=bob"), "free": server_row(postgres)}, start=False)
    pooler.start(wait=False)
    pooler.wait_for_log("process up")
    assert pooler.query("SELECT current_user", "forced", user="whoever") == [("bob",)]
    assert "bouncer config error" in refusal(pooler, db="free", user="whoever")


@covers("auth_type", scope=("global", "database", "user"))
def test_the_method_may_differ_by_database_and_user(pgweir, postgres):
    pooler = pgweir({"auth_type": "scram-sha-256"}, databases={"open": server_row(postgres, "auth_type=trust"), "shut": server_row(postgres)},
                    users={"bob": "auth_type=plain"})
    assert pooler.query("SELECT 1", "open", password="wrong") == [(1,)]
    assert "SASL authentication failed" in refusal(pooler, db="shut", password="wrong")
    assert "password authentication failed" in refusal(pooler, db="open", user="bob", password="wrong")
    assert pooler.query("SELECT 1", "open", user="bob") == [(1,)]


def test_a_user_removed_by_reload_gets_in_no_more(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    assert pooler.query("SELECT 1") == [(1,)]
    pooler.write_userlist({ADMIN: password_of(ADMIN)})
    pooler.reload()
    assert "SASL authentication failed" in refusal(pooler)
    pooler.write_userlist('"alice" "x"\nbroken line\n')
    with pytest.raises(psycopg.Error):
        pooler.console("RELOAD")
    assert "userlist.txt:2" in pooler.log()
    assert pooler.console("SHOW VERSION")  # nobody was locked out


def test_plain_secrets_follow_what_they_are_made_into(pgweir):
    """What SCRAM needs of them is kept from login to login, until the secret or the iterations change."""
    pooler = pgweir({"auth_type": "scram-sha-256", "scram_iterations": "1000"})

    def iterations():
        with Wire(pooler) as connection:
            connection.startup(login=False)
            assert connection.read_message()[0] == b"R"
            first = b"n,,n=,r=" + b"x" * 24
            connection.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
            return connection.read_message()[1].rpartition(b",i=")[2]

    for _ in range(3):
        assert pooler.query("SELECT current_user") == [("alice",)]
    assert iterations() == b"1000"
    pooler.console("SET scram_iterations = 1500")
    for _ in range(3):
        assert pooler.query("SELECT current_user") == [("alice",)]
        assert iterations() == b"1500"
    pooler.write_userlist({ADMIN: password_of(ADMIN), "alice": "another"})
    pooler.reload()
    assert "SASL authentication failed" in refusal(pooler)
    for _ in range(3):
        pooler.connect(password="another").close()


def test_a_reload_in_the_middle_of_a_login_counts(pgweir, wire):
    pooler = pgweir({"auth_type": "plain"})
    connection = wire(pooler)
    connection.startup(login=False)
    assert connection.read_message() == (b"R", b"\0\0\0\3")
    pooler.write_userlist({ADMIN: password_of(ADMIN)})
    pooler.reload()
    connection.send(b"p", password_of("alice").encode() + b"\0")
    assert connection.read_error()["C"] == "28P01"


@pytest.mark.parametrize("before, after, gets_in", [
    ("host all alice all password", "host all alice all reject\nhost all all all password", False),
    ("host all alice all password", "host all bob all password", False),
    ("host all all all password", "local all all peer\nhost all all all scram-sha-256\nhost all all all password", False),
    ("host all all all password", "# alice, too\nlocal all all peer\nhost all all all password", True),
])
def test_a_rule_that_reload_brings_holds_for_a_login_that_is_under_way(pgweir, wire, before, after, gets_in):
    pooler = pgweir({"auth_type": "hba", "auth_hba_file": "hba.conf"}, start=False)
    admin = f"host all {ADMIN} all trust\n"
    rules(pooler, admin + before, reload=False)
    pooler.start()
    connection = wire(pooler)
    connection.startup(login=False)
    assert connection.read_message() == (b"R", b"\0\0\0\3")
    rules(pooler, admin + after)
    connection.send(b"p", password_of("alice").encode() + b"\0")
    if gets_in:
        assert connection.read_message() == (b"R", b"\0\0\0\0")
        return
    error = connection.read_error()
    assert (error["C"], error["M"]) == ("28000", "login rejected")
    pooler.wait_for_log("LOG C-.* login refused: its way to log in was changed meanwhile")
    assert pooler.console("SHOW LOGINS")[0]["login_failure_count"] == 0


@pytest.mark.parametrize("what", ["not asked any more", "listed"])
def test_a_reload_in_the_middle_of_a_login_counts_for_who_was_asked_about(pgweir, wire, query_user, what):
    pooler = pgweir({"auth_type": "plain", "auth_user": query_user}, userlist=LISTED)
    connection = wire(pooler)
    connection.startup(login=False, user="dora")
    assert connection.read_message() == (b"R", b"\0\0\0\3")
    if what == "listed":
        pooler.write_userlist({**LISTED, "dora": "another"})
    else:
        pooler.change_config(auth_user=None)
    pooler.reload()
    connection.send(b"p", password_of("dora").encode() + b"\0")
    assert connection.read_error()["C"] == "28P01"


def test_an_auth_type_that_reload_brings_holds_for_a_login_that_is_under_way(pgweir, wire):
    pooler = pgweir({"auth_type": "plain"})
    connection = wire(pooler)
    connection.startup(login=False)
    assert connection.read_message() == (b"R", b"\0\0\0\3")
    pooler.console("SET auth_type = 'scram-sha-256'")
    connection.send(b"p", password_of("alice").encode() + b"\0")
    assert connection.read_error()["C"] == "28000"


@pytest.mark.parametrize("user, cause", [("alice", "wrong password: alice"), ("nobody", "no such user: nobody"), ("old", "wrong password type: old")])
def test_the_log_says_why_a_login_failed_and_the_client_does_not_know(pgweir, user, cause):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    pooler.write_userlist({ADMIN: password_of(ADMIN), "alice": password_of("alice"), "old": "md5" + "0" * 32})
    pooler.reload()
    refusal(pooler, user=user, password="wrong")
    pooler.wait_for_log(rf"LOG C-0x\w+: {DATABASE}/\S+@127.0.0.1:\d+ {cause}\n")


def test_an_unknown_user_takes_as_long_as_a_wrong_password(pgweir):
    """Medians of interleaved logins; the plain secret's keys were derived when it was loaded."""
    pooler = pgweir({"auth_type": "scram-sha-256"})
    refusal(pooler, password="warm")

    def once(user):
        begin = time.perf_counter()
        refusal(pooler, user=user, password="wrong")
        return time.perf_counter() - begin

    known, unknown = [], []
    for n in range(60):
        known.append(once("alice"))
        unknown.append(once(f"nobody{n}"))
    difference = abs(statistics.median(known) - statistics.median(unknown))
    noise = statistics.pstdev(known) + statistics.pstdev(unknown)
    assert difference < max(0.0015, noise), (statistics.median(known), statistics.median(unknown))


def test_a_typed_password_takes_as_long_whether_the_user_is_known(pgweir, postgres):
    iterations = 60000
    pooler = pgweir({"auth_type": "plain", "scram_iterations": iterations},
                    userlist={"alice": scram_secret("alice-secret", iterations=iterations), ADMIN: password_of(ADMIN)})

    def once(user):
        with Wire(pooler) as connection:
            connection.startup(login=False, user=user)
            assert connection.read_message() == (b"R", b"\0\0\0\3")
            begin = time.perf_counter()
            connection.send(b"p", b"wrong\0")
            assert connection.read_message()[0] == b"E"
            return time.perf_counter() - begin

    times = {"alice": [], "nobody": []}
    for _ in range(15):  # by turns: another test may keep the machine busy for a while
        for user, taken in times.items():
            taken.append(once(user))
    known, unknown = (min(taken) for taken in times.values())
    assert known / 2 < unknown < known * 2, times


def test_an_unknown_user_of_auth_query_takes_as_long_as_a_known_one(pgweir, query_user):
    """The first login of each: a plain password must be put through many hashes then, and nobody has an answer cached."""
    query = "SELECT 'known', 'secret'::text WHERE false UNION ALL SELECT $1, 'secret' WHERE $1 LIKE 'known%'"
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_query": query, "scram_iterations": 100000},
                    userlist=LISTED)
    refusal(pooler, user="known", password="wrong")

    def once(user):
        with Wire(pooler) as connection:  # not libpq, whose own hashes take much longer
            begin = time.perf_counter()
            connection.startup(login=False, user=user)
            assert connection.read_message()[0] == b"R"
            return time.perf_counter() - begin

    known, unknown = [], []
    for n in range(15):
        known.append(once(f"known{n}"))
        unknown.append(once(f"nobody{n}"))
    # The derivation is what takes the time: if one kind went without, it would be many times as fast.
    assert 0.5 < min(known) / min(unknown) < 2, (known, unknown)  # the quickest: what a busy machine disturbs least
    again = [once(f"known{n}") for n in range(15)]
    assert min(again) < min(known)


# ---- failures are counted, delayed, banned ----


def test_failed_logins_are_counted(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    for _ in range(3):
        refusal(pooler, password="wrong")
    pooler.query("SELECT 1")
    row = next(row for row in pooler.console("SHOW LOGINS") if row["database"] == DATABASE)
    assert (row["login_count"], row["login_failure_count"]) == (1, 3)
    refusal(pooler, password="wrong", dbname="no_database_of_ours")
    assert pooler.console("SHOW LOGINS")[-1] == {"database": "", "login_count": 0, "login_failure_count": 1}


@covers("auth_failure_delay")
def test_a_failure_is_told_after_a_delay(pgweir):
    pooler = pgweir({"auth_type": "plain", "auth_failure_delay": "700ms"})
    begin = time.monotonic()
    assert "password authentication failed" in refusal(pooler, password="wrong")
    assert 0.7 <= time.monotonic() - begin < 5
    begin = time.monotonic()
    pooler.query("SELECT 1")
    assert time.monotonic() - begin < 0.7


@covers("auth_failure_limit", "auth_failure_window")
def test_an_address_that_fails_too_often_is_refused_for_a_while(pgweir):
    pooler = pgweir({"auth_type": "plain", "auth_failure_limit": 3, "auth_failure_window": "2s"})
    for _ in range(3):
        assert "password authentication failed" in refusal(pooler, password="wrong")
    text = refusal(pooler)
    assert "too many failed logins from this address" in text
    assert pooler.query("SELECT 1", host=str(pooler.directory)) == [(1,)]  # another way in
    wait_until(lambda: _succeeds(pooler), 10, "the end of the ban")


def _succeeds(pooler):
    with contextlib.suppress(psycopg.OperationalError):
        return pooler.query("SELECT 1") == [(1,)]


# ---- auth_query ----


LISTED = {ADMIN: password_of(ADMIN), "asker": ""}


def asked(postgres, pattern="pg_authid"):
    return postgres.log().count(pattern)


@covers("auth_user")
@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_auth_query_finds_users(pgweir, query_user, method):
    pooler = pgweir({"auth_type": method, "auth_user": query_user}, userlist=LISTED)
    assert pooler.query("SELECT current_user", user="dora") == [("dora",)]
    for user, password in (("dora", "wrong"), ("olga", "olga-secret"), ("nora", "x"), ("nobody", "x")):
        assert "authentication failed" in refusal(pooler, user=user, password=password)
    assert {row["name"] for row in pooler.console("SHOW USERS")} >= {"asker", "dora"}
    assert "nobody" not in {row["name"] for row in pooler.console("SHOW USERS")}


def test_auth_query_runs_as_auth_user_where_the_row_has_another_user(pgweir, postgres, query_user):
    query = "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = $1 AND current_user = 'asker'"
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_query": query},
                    databases={"forced": server_row(postgres, f"user=bob password={password_of('bob')}"),
                               "elsewhere": server_row(postgres, "user=carol auth_dbname=forced")}, userlist=LISTED)
    assert pooler.query("SELECT current_user", "forced", user="dora") == [("bob",)]
    assert pooler.query("SELECT current_user", "elsewhere", user="dora") == [("carol",)]
    assert {(row["database"], row["user"]) for row in pooler.console("SHOW POOLS")} >= {("forced", "asker"), ("forced", "bob")}


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_auth_query_may_name_another_user(pgweir, query_user, method):
    query = "SELECT 'carol'::text, 'the-alias-secret'::text WHERE $1 = 'alias'"
    pooler = pgweir({"auth_type": method, "auth_user": query_user, "auth_query": query}, userlist=LISTED)
    for _ in range(2):  # asked, then cached
        assert pooler.query("SELECT current_user", user="alias", password="the-alias-secret") == [("carol",)]
        assert "authentication failed" in refusal(pooler, user="alias", password="wrong")


def test_strangers_who_hang_up_cost_no_server_connection(pgweir, postgres, query_user):
    query = "SELECT $1::text, 'secret' FROM pg_sleep(0.3)"
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_dbname": "auth", "auth_query": query, "auth_query_ttl": "1h"},
                    databases={DATABASE: server_row(postgres), "auth": server_row(postgres)}, userlist=LISTED)
    for name in ("first", "same", "same", "same", "same"):
        with Wire(pooler) as connection:
            connection.startup(login=False, user=name)
            wait_until(lambda: any(row["database"] == "auth" and row["sv_active"] for row in pooler.console("SHOW POOLS")))
    wait_until(lambda: counted(pooler) == 2)  # each name was asked for once, and its answer kept
    with Wire(pooler) as connection:
        connection.startup(login=False, user="same")
        assert connection.read_message()[0] == b"R"
    assert counted(pooler) == 2
    assert len(re.findall("auth/asker.* new connection to server", pooler.log())) <= 2


def test_auth_query_keys_pass_through_to_a_server_that_asks(pgweir, postgres, query_user):
    with postgres.hba("host all dora 127.0.0.1/32 scram-sha-256"):
        pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_dbname": DATABASE}, userlist=LISTED)
        assert pooler.query("SELECT current_user", user="dora") == [("dora",)]


def counted(pooler, name="asker"):
    """Queries that ran as auth_user, by the pool's database."""
    return sum(row["total_xact_count"] for row in pooler.console("SHOW STATS") if row["database"] == "auth")


@covers("auth_query_ttl")
def test_answers_are_kept_for_auth_query_ttl(pgweir, postgres, query_user):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_dbname": "auth", "auth_query_ttl": "1h"},
                    databases={DATABASE: server_row(postgres), "auth": server_row(postgres)}, userlist=LISTED)
    for _ in range(5):
        pooler.query("SELECT 1", user="dora")
    assert counted(pooler) == 1
    # A failed login asks anew, once a second: the answer may have been another one since.
    begin = time.monotonic()
    for _ in range(7):
        refusal(pooler, user="nobody")
    assert counted(pooler) <= 2 + time.monotonic() - begin
    time.sleep(1)
    refusal(pooler, user="nobody")
    assert counted(pooler) >= 3
    time.sleep(1)
    postgres.execute("ALTER ROLE dora PASSWORD 'changed'")
    refusal(pooler, user="dora", password="changed")  # the old secret answered, and was refreshed
    assert pooler.query("SELECT 1", user="dora", password="changed") == [(1,)]
    pooler.change_config(auth_query_ttl=0)
    pooler.reload()
    before = counted(pooler)
    for _ in range(3):
        pooler.query("SELECT 1", user="dora", password="changed")
    assert counted(pooler) == before + 3


@pytest.mark.parametrize("method", ["plain", "md5"])
def test_a_changed_password_is_taken_at_once_where_it_can_be(pgweir, postgres, query_user, method):
    if method == "md5":
        postgres.execute("SET password_encryption = 'md5'; ALTER ROLE dora PASSWORD %s" % repr(password_of("dora")))
    pooler = pgweir({"auth_type": method, "auth_user": query_user, "auth_query_ttl": "1h"}, userlist=LISTED)
    pooler.query("SELECT 1", user="dora")
    time.sleep(1)  # answers younger than that are not doubted
    postgres.execute(f"SET password_encryption = '{'md5' if method == 'md5' else 'scram-sha-256'}'; ALTER ROLE dora PASSWORD 'changed'")
    assert pooler.query("SELECT 1", user="dora", password="changed") == [(1,)]
    assert "password authentication failed" in refusal(pooler, user="dora")


@covers("auth_query", "auth_dbname")
def test_many_logins_at_a_time_ask_once(pgweir, postgres, query_user):
    query = "SELECT rolname, rolpassword FROM pg_authid, pg_sleep(0.5) WHERE rolname = $1"
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_dbname": "auth", "auth_query": query},
                    databases={DATABASE: server_row(postgres), "auth": server_row(postgres)}, userlist=LISTED)
    jobs = [Background(pooler.query, "SELECT current_user", user="dora") for _ in range(10)]
    assert [job.result() for job in jobs] == [[("dora",)]] * 10
    assert counted(pooler) == 1


def test_more_questions_than_are_asked_at_a_time_wait(pgweir, postgres, query_user):
    """As many logins as one likes wait for a database that is paused, and are served when it is there again."""
    pooler = pgweir({"auth_type": "md5", "auth_user": query_user, "auth_dbname": "auth", "auth_query": "SELECT $1::text, 'secret'",
                     "max_client_conn": 400, "log_connections": 0}, databases={DATABASE: server_row(postgres), "auth": server_row(postgres)},
                    userlist=LISTED)
    pooler.console("PAUSE auth")
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Wire(pooler, timeout=30)) for _ in range(160)]
        for n, connection in enumerate(waiting):
            connection.startup(login=False, user=f"user{n}")
        for connection in waiting[100:110]:  # some lose patience
            connection.close()
        wait_until(lambda: {row["list"]: row["items"] for row in pooler.console("SHOW LISTS")}["login_clients"] == 150, 30,
                   "150 clients that wait")
        assert all(connection.quiet(0.01) for connection in waiting[:100:10] + waiting[110:])
        pooler.console("RESUME auth")
        for connection in waiting[:100] + waiting[110:]:
            assert connection.read_message()[0] == b"R"


def test_an_empty_password_is_refused_at_once_also_with_a_cached_secret(pgweir, query_user):
    pooler = pgweir({"auth_type": "plain", "auth_user": query_user, "auth_query_ttl": "1h"}, userlist=LISTED)
    assert pooler.query("SELECT 1", user="dora") == [(1,)]
    with Wire(pooler) as connection:
        connection.startup(login=False, user="dora")
        assert connection.read_message() == (b"R", b"\0\0\0\3")
        connection.send(b"p", b"\0")
        kind, body = connection.read_message()
        assert kind == b"E" and connection.fields(body)["M"] == "empty password returned by client"


def test_a_stranger_is_told_as_many_iterations_as_those_whom_auth_query_finds(pgweir, query_user, wire):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_query_ttl": 0, "scram_iterations": 5000}, userlist=LISTED)
    assert challenge_of(wire(pooler), "nobody")[1] == b"5000"  # admin's is made of plain text
    for _ in range(3):
        assert pooler.query("SELECT 1", user="dora") == [(1,)]
    assert challenge_of(wire(pooler), "nobody")[1] == challenge_of(wire(pooler), "dora")[1] == b"4096"


def test_names_are_parameters_never_text(pgweir, query_user):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user}, userlist=LISTED)
    for name in ("' OR 1=1 --", "dora'; DROP ROLE dora; --", "\\", "$1", '"dora"', "d\xf6ra"):
        assert "SASL authentication failed" in refusal(pooler, user=name)
    assert pooler.query("SELECT 1", user="dora") == [(1,)]


@pytest.mark.parametrize("query,what", [
    ("SELECT rolname FROM pg_authid WHERE rolname = $1", "has 1 columns, it must have 2"),
    ("SELECT 1, 2, 3, $1::text", "has 4 columns, it must have 2"),
    ("SELECT nonsense($1)", "function nonsense"),
    ("SELECT rolname, rolpassword FROM pg_authid WHERE $1::text IS NOT NULL", "more than one row"),
    ("SET x.y = 1", "auth_query in database"),
    ("SELECT '', 'x' WHERE $1::text IS NOT NULL", "its row names nobody: the name is empty"),
])
def test_a_query_that_cannot_work_is_a_clear_error(pgweir, query_user, query, what):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_query": query}, userlist=LISTED)
    text = refusal(pooler, user="dora")
    # Why is for the log: the client may be anybody.
    assert "authentication query failed" in text and what not in text and "test" not in text.split("FATAL:")[1]
    pooler.wait_for_log(rf'auth_query in database "test" failed: .*{re.escape(what) if "database" not in what else ""}')
    assert pooler.console("SHOW VERSION")


def test_names_of_strangers_make_few_databases(pgweir, postgres, query_user):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "server_login_retry": 0, "log_connections": 0},
                    databases={"'*'": f"host={postgres.host} port={postgres.port}"}, userlist=LISTED)
    assert pooler.query("SELECT current_database()", user="dora") == [(DATABASE,)]
    for n in range(130):
        assert "authentication query failed" in refusal(pooler, db=f"made_up_{n}", user="dora")
    known = next(row["items"] for row in pooler.console("SHOW LISTS") if row["list"] == "databases")
    assert known == 100 + 2  # the console, and the one that somebody proven was in
    assert pooler.query("SELECT current_database()", "postgres", user="dora") == [("postgres",)]


@covers("auth_query", "auth_user", scope="database")
def test_auth_query_of_a_database_wins(pgweir, postgres, query_user):
    special = "auth_user=asker auth_query='SELECT $1::text, ''special'''"
    pooler = pgweir({"auth_type": "scram-sha-256"}, databases={"a": server_row(postgres, special), "b": server_row(postgres)}, userlist=LISTED)
    assert pooler.query("SELECT 1", "a", user="dora", password="special") == [(1,)]
    assert "SASL authentication failed" in refusal(pooler, db="b", user="dora")


def test_a_reload_of_what_clients_are_greeted_with_is_seen_by_the_next(pgweir, postgres):
    pooler = pgweir(databases={DATABASE: server_row(postgres, "timezone=Asia/Tokyo")})
    assert pooler.query("SHOW timezone") == [("Asia/Tokyo",)] == pooler.query("SHOW timezone")
    pooler.change_config("databases", **{DATABASE: server_row(postgres, "timezone=Europe/Oslo")})
    pooler.reload()
    assert pooler.query("SHOW timezone") == [("Europe/Oslo",)]


def test_where_auth_query_cannot_run(pgweir, postgres, query_user):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "auth_dbname": "elsewhere", "client_login_timeout": 2},
                    userlist=LISTED)
    assert 'authentication database "elsewhere" is not configured' in refusal(pooler, user="dora")
    pooler.change_config("databases", elsewhere=server_row(postgres))
    pooler.reload()
    pooler.query("SELECT 1", user="dora")
    pooler.console("DISABLE elsewhere")
    assert 'authentication database "elsewhere" is disabled' in refusal(pooler, user="nora")
    pooler.console("ENABLE elsewhere")
    pooler.console("PAUSE elsewhere")
    text = refusal(pooler, user="nora")  # waits, and is told what for
    assert "client_login_timeout" in text and 'auth_query in database "elsewhere" has not been answered' in text
    pooler.console("RESUME elsewhere")
    assert "SASL authentication failed" in refusal(pooler, user="nora")


def test_auth_query_rides_out_a_server_that_is_down(pgweir, postgres, query_user):
    pooler = pgweir({"auth_type": "scram-sha-256", "auth_user": query_user, "client_login_timeout": 20, "server_login_retry": 1},
                    userlist=LISTED)
    postgres.stop()
    job = Background(pooler.query, "SELECT current_user", user="dora")
    pooler.wait_for_log("cannot use the server")
    postgres.start()
    assert job.result() == [("dora",)]


# ---- rules ----


def rules(pooler, text, reload=True):
    (pooler.directory / "hba.conf").write_text(text)
    Unprivileged.own(pooler.directory / "hba.conf")
    if reload:
        pooler.reload()


@covers("auth_hba_file")
def test_the_first_rule_that_matches_holds(ruled):
    pooler = ruled("host all bob 127.0.0.1/32 reject\nhost test alice,carol 127.0.0.0/8 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    assert "login rejected" in refusal(pooler, user="bob")
    assert pooler.query("SELECT 1", password="wrong") == [(1,)]
    assert "SASL authentication failed" in refusal(pooler, db="test_session", password="wrong")
    assert pooler.query("SELECT 1", "test_session") == [(1,)]
    assert "no authentication method is found" in refusal(pooler, host=str(pooler.directory))
    shown = pooler.console("SHOW HBA")
    assert [(row["rule_number"], row["type"], row["auth_method"]) for row in shown] == [
        (1, "host", "trust"), (2, "host", "reject"), (3, "host", "trust"), (4, "host", "scram-sha-256")]
    assert shown[1]["user_name"] == "{bob}" and shown[1]["line_number"] == 2


def test_a_bad_rule_keeps_the_old_ones_and_names_its_line(ruled):
    pooler = ruled("host all all 127.0.0.1/32 trust\n")
    path = pathlib.Path(pooler.console("SHOW HBA")[0]["file_name"])
    path.write_text(CONSOLE + "host all bob 127.0.0.1/32 rejekt\nhost all all 127.0.0.1/32 trust\n")
    with pytest.raises(psycopg.Error):
        pooler.console("RELOAD")
    pooler.wait_for_log(r"hba\.conf:2: .*rejekt")
    assert pooler.query("SELECT 1", user="bob") == [(1,)] and len(pooler.console("SHOW HBA")) == 2


def test_roles_of_the_server_make_groups(ruled, postgres):
    postgres.execute("CREATE ROLE team; CREATE ROLE inner_team IN ROLE team; GRANT inner_team TO alice; CREATE ROLE asker SUPERUSER LOGIN")
    try:
        pooler = ruled("host all +team 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n",
                       config={"auth_user": "asker"}, userlist={**LISTED, "alice": "x", "bob": "y"})
        assert pooler.query("SELECT 1") == [(1,)]
        assert "login rejected" in refusal(pooler, user="bob")
    finally:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'asker'")
        postgres.execute("DROP ROLE inner_team; DROP ROLE team; DROP ROLE asker")


def test_host_names_are_looked_up(ruled):
    pooler = ruled("host all alice localhost trust\nhost all bob no-such-host.invalid reject\nhost all all 127.0.0.1/32 trust\n")
    assert pooler.query("SELECT 1") == [(1,)]
    # Whom a reject means cannot be told, or nobody has the name any more: nobody passes it.
    assert re.search("login rejected|no authentication method is found", refusal(pooler, user="bob"))
    assert pooler.query("SELECT 1", user="carol") == [(1,)]


def sqlstate_of_refusal(pooler, **parameters):
    with Wire(pooler) as connection:
        connection.startup(login=False, **parameters)
        return connection.read_error()["C"]


def test_a_rule_that_cannot_be_understood_now_is_not_passed_over(ruled, postgres):
    """No name server answers, and the query for roles fails: the rule behind lets nobody in."""
    with temporary_directory("resolv") as directory:
        conf = directory / "resolv.conf"
        conf.write_text("nameserver 127.0.0.254\noptions timeout:1 attempts:1\n")
        for path in (directory, conf):
            Unprivileged.own(path)
        pooler = ruled("host all alice db.example.test reject\nhost all alice db.example.test md5\nhost all bob .example.test trust\n"
                       "host test carol,+team all reject\n"
                       "host all all 127.0.0.1/32 trust\n",
                       config={"resolv_conf": conf, "auth_user": "postgres", "auth_group_query": "SELECT broken($1, $2)"})
        assert "no authentication method is found" in refusal(pooler)
        assert sqlstate_of_refusal(pooler) == "28000"
        pooler.wait_for_log('login refused: a rule asks for host "db.example.test": could not translate')
        assert "login rejected" in refusal(pooler, user="carol")  # it is named beside the role
        assert "no authentication method is found" in refusal(pooler, user="scram")
        assert sqlstate_of_refusal(pooler, user="scram") == "28000"
        pooler.wait_for_log('login refused: a rule asks for members of role "team": auth_query in database')
        assert "broken" not in refusal(pooler, user="scram")


def test_a_role_that_nobody_can_be_asked_about_is_not_passed_over(ruled):
    pooler = ruled("host all +team 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n")
    assert "no authentication method is found" in refusal(pooler)
    pooler.wait_for_log('a rule asks for members of role "team": that needs auth_user')
    assert "no authentication method is found" in refusal(pooler, db="pgbouncer")


def test_suffixes_of_host_names_are_looked_up_both_ways(ruled):
    name = socket.gethostbyaddr("127.0.0.1")[0]
    pooler = ruled(f"host all alice .{name[1:]} trust\nhost all bob .{name} reject\nhost all carol .elsewhere.invalid trust\nhost all bob 127.0.0.1/32 trust\n")
    assert "no authentication method is found" in refusal(pooler)  # a label is not half a suffix
    assert pooler.query("SELECT 1", user="bob") == [(1,)]
    assert "no authentication method is found" in refusal(pooler, user="carol")


@covers("auth_ident_file")
def test_peer_is_the_system_user_or_mapped_to(ruled):
    me = getpass.getuser()
    pooler = ruled("local all all peer map=m\n", maps=f"m {me} alice\nm /^(.)oot$ bob\n")
    over = {"host": str(pooler.directory)}
    assert pooler.query("SELECT current_user", **over) == [("alice",)]
    assert "unix socket login rejected" in refusal(pooler, user="carol", **over)


SLOW_NSS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pwd.h>
#include <unistd.h>
struct passwd *getpwuid(uid_t uid)
{
	struct passwd *(*real)(uid_t) = (struct passwd *(*)(uid_t))dlsym(RTLD_NEXT, "getpwuid");
	sleep(4);
	return real(uid);
}
int getpwuid_r(uid_t uid, struct passwd *entry, char *texts, size_t size, struct passwd **found)
{
	int (*real)(uid_t, struct passwd *, char *, size_t, struct passwd **) = (void *)dlsym(RTLD_NEXT, "getpwuid_r");
	sleep(4);
	return real(uid, entry, texts, size, found);
}
"""


def test_a_slow_directory_of_system_users_delays_nobody_else(ruled):
    with temporary_directory("nss") as directory:
        (directory / "slow.c").write_text(SLOW_NSS)
        library = directory / "slow.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-o", library, directory / "slow.c"], check=True)
        directory.chmod(0o755)
        pooler = ruled("local all all peer map=m\nhost all all all trust\n", maps=f"m {getpass.getuser()} alice",
                       environment={"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        with pooler.connect(user="bob") as held:
            job = Background(pooler.query, "SELECT current_user", host=str(pooler.directory))
            slowest = 0
            while job.is_alive():
                begin = time.monotonic()
                assert held.execute("SELECT 1").fetchone() == (1,)
                slowest = max(slowest, time.monotonic() - begin)
            assert job.result() == [("alice",)]
            assert slowest < 2


# ---- PAM ----


@covers("auth_pam_service")
def test_pam_checks_passwords_and_they_serve_for_the_server(pgweir, postgres, pam_service):
    pooler = pgweir({"auth_type": "pam", "auth_pam_service": pam_service}, userlist={})
    assert pooler.query("SELECT current_user", user="scram") == [("scram",)]  # the server asks for it
    assert "PAM authentication failed" in refusal(pooler, user="scram", password="wrong")
    assert "PAM authentication failed" in refusal(pooler, user="nobody", password="wrong")
    assert password_of("scram") not in pooler.log() and "wrong" not in pooler.log()
    pooler.wait_for_log("PAM authentication failed: pam_authenticate: ")


def test_pam_is_told_the_host_s_name_where_a_rule_says_so(ruled, pam_service):
    """... if the name has the client's address, and else the address."""
    pam_service.parent.chmod(0o777)
    check, told = pam_service.parent / "check", pam_service.parent / "told"
    check.write_text(f'#!/bin/sh\necho "$PAM_RHOST" >{told}\nread -r password\n[ "$PAM_USER-secret" = "$password" ]\n')
    server = NameServer()
    server.records["host.test"] = ["127.0.0.2"]
    server.pointers = {"127.0.0.2": "host.test", "127.0.0.3": "host.test", "127.0.0.5": "gone.test"}
    rule = f"host all {{}} 127.0.0.0/8 pam pamservice={pam_service} pam_use_hostname={{}}\n"
    with temporary_directory("resolv") as directory, contextlib.closing(server):
        pooler = ruled(rule.format("alice", 1) + rule.format("bob", 0),
                       config={"resolv_conf": server.resolv_conf(directory)})

        def comes(source, user):
            told.unlink(missing_ok=True)
            with Wire(pooler, source=source) as connection:
                connection.startup(login=False, user=user)
                assert connection.read_message() == (b"R", b"\0\0\0\3")
                connection.send(b"p", password_of(user).encode() + b"\0")
                assert connection.read_message() == (b"R", b"\0\0\0\0")
            return told.read_text().strip()

        for address, name in {"127.0.0.2": "host.test", "127.0.0.3": None, "127.0.0.4": None, "127.0.0.5": None}.items():
            assert comes(address, "alice") == (name or address)
            assert comes(address, "bob") == address
        server.close()
        assert comes("127.0.0.2", "alice") == "127.0.0.2"


OTHERS = {"plain": "another", "md5": "md5" + "0" * 32, "scram": scram_secret("another"), "empty": ""}


@pytest.mark.parametrize("listed", OTHERS)
@pytest.mark.parametrize("role", ["scram", "md5", "cleartext"])
def test_what_was_typed_for_pam_comes_before_what_is_listed(pgweir, postgres, pam_service, role, listed):
    """auth_file is no business of PAM's: the server gets what the client typed, unless the row has its own."""
    pooler = pgweir({"auth_type": "pam", "auth_pam_service": pam_service}, userlist={role: OTHERS[listed]}, databases={
        DATABASE: server_row(postgres), "forced": server_row(postgres, f"user={role} password={password_of(role)}"),
        "wrong": server_row(postgres, f"user={role} password=wrong"), "by_list": server_row(postgres, f"user={role}")})
    assert pooler.query("SELECT current_user", user=role) == [(role,)]
    assert pooler.query("SELECT current_user", "forced", user="alice") == [(role,)]
    assert f'password authentication failed for user "{role}"' in refusal(pooler, db="wrong", user=role)
    assert "alice-secret" not in refusal(pooler, db="by_list", user="alice")  # it is another's
    pooler.reload()
    end_servers(pooler, role, postgres)
    assert pooler.query("SELECT current_user", user=role) == [(role,)]


def test_a_slow_check_delays_nobody_else(pgweir, postgres, pam_service):
    pooler = pgweir({"auth_type": "pam", "auth_pam_service": pam_service}, userlist={})
    with pooler.connect() as held:
        jobs = [Background(refusal, pooler, user="slow", password="wrong") for _ in range(4)]
        for _ in range(20):
            begin = time.monotonic()
            assert held.execute("SELECT 1").fetchone() == (1,)
            assert time.monotonic() - begin < 1
        for job in jobs:
            assert "PAM authentication failed" in job.result()


# ---- LDAP ----


@covers("auth_ldap_options")
@pytest.mark.parametrize("options", [
    "ldapserver=127.0.0.1 ldapport={port} ldapprefix=\"uid=\" ldapsuffix=\",ou=people,dc=weir\"",
    "ldapserver=127.0.0.1 ldapport={port} ldapbasedn=\"dc=weir\" ldapbinddn=\"cn=manager,dc=weir\" ldapbindpasswd=manager-pw",
    "ldapserver=127.0.0.1 ldapport={port} ldapbasedn=\"dc=weir\" ldapbinddn=\"cn=manager,dc=weir\" ldapbindpasswd=manager-pw"
    " ldapsearchfilter=\"(|(uid=$username)(mail=$username))\"",
    "ldapurl=\"ldap://127.0.0.1:{port}/dc=weir?uid?sub\" ldapbinddn=\"cn=manager,dc=weir\" ldapbindpasswd=manager-pw",
], ids=["bind", "search", "filter", "url"])
def test_ldap_checks_passwords(pgweir, postgres, directory_server, options):
    pooler = pgweir({"auth_type": "trust", "auth_ldap_options": options.format(port=directory_server)},
                    databases={DATABASE: server_row(postgres, "auth_type=ldap")})
    assert pooler.query("SELECT current_user", user="scram") == [("scram",)]
    for user, password in (("scram", "wrong"), ("nobody", "x"), ("*", password_of("alice")), ("alice)(uid=*", "x"), ("alice,ou=people", "x")):
        assert "LDAP authentication failed" in refusal(pooler, user=user, password=password)
    with pytest.raises(psycopg.OperationalError, match="empty password returned by client"):
        raw_password(pooler, "")
    shown = next(row["value"] for row in pooler.console("SHOW CONFIG") if row["key"] == "auth_ldap_options")
    assert "manager-pw" not in shown and "manager-pw" not in pooler.log() and password_of("scram") not in pooler.log()


@pytest.mark.parametrize("asks", ["scram-sha-256", "md5", "password"])
@pytest.mark.parametrize("listed", OTHERS)
def test_what_was_typed_for_ldap_comes_before_what_is_listed(pgweir, postgres, directory_server, listed, asks):
    options = f'ldapserver=127.0.0.1 ldapport={directory_server} ldapprefix="uid=" ldapsuffix=",ou=people,dc=weir"'
    pooler = pgweir({"auth_type": "trust", "auth_ldap_options": options}, userlist={ADMIN: "", "scram": OTHERS[listed]},
                    databases={DATABASE: server_row(postgres, "auth_type=ldap")})
    with postgres.hba(f"host all scram 127.0.0.1/32 {asks}"):
        assert pooler.query("SELECT current_user", user="scram") == [("scram",)]


def test_ldap_without_options_lets_nobody_in(pgweir, postgres):
    pooler = pgweir(databases={DATABASE: server_row(postgres, "auth_type=ldap")})
    assert "auth_ldap_options is null" in refusal(pooler)
    assert pooler.console("SHOW VERSION")


def test_ldap_by_a_rule_and_a_directory_that_is_down(ruled, directory_server):
    pooler = ruled(f"host all alice 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport={directory_server} ldapprefix=\"uid=\" ldapsuffix=\",ou=people,dc=weir\"\n"
                   f"host all bob 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport={free_port()} ldapprefix=\"uid=\" ldapsuffix=\",dc=weir\"\n")
    assert pooler.query("SELECT current_user") == [("alice",)]
    assert "LDAP authentication failed" in refusal(pooler, user="bob")
    pooler.wait_for_log("LDAP authentication failed: .*Can't contact LDAP server")


def test_a_directory_that_is_down_bans_nobody(pgweir, postgres, directory_server):
    options = 'ldapserver=127.0.0.1 ldapport=%d ldapprefix="uid=" ldapsuffix=",ou=people,dc=weir"'
    pooler = pgweir({"auth_ldap_options": options % free_port(), "auth_failure_limit": 2, "auth_failure_window": 60},
                    databases={DATABASE: server_row(postgres, "auth_type=ldap")})
    for _ in range(4):
        assert "LDAP authentication failed" in refusal(pooler)
    pooler.wait_for_log("WARNING.*LDAP authentication failed: .*Can't contact LDAP server")
    pooler.change_config(auth_ldap_options=options % directory_server)
    pooler.reload()
    assert pooler.query("SELECT current_user") == [("alice",)]
    for _ in range(2):
        with Wire(pooler) as connection:
            connection.startup(login=False)
            assert connection.read_message() == (b"R", b"\0\0\0\3")
            connection.send(b"p", b"wrong\0")
            assert connection.read_error()["C"] == "28000"  # as PostgreSQL has it
    assert "too many failed logins" in refusal(pooler)


# ---- bad input ----


def test_a_client_that_is_gone_before_the_first_answer(pgweir, wire):
    """What it is owed (NegotiateProtocolVersion) cannot be sent any more: a reset right behind the start-up packet."""
    pooler = pgweir({"auth_type": "scram-sha-256"})
    for _ in range(50):
        connection = wire(pooler)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.startup(login=False, protocol=(3 << 16) + 2)
        connection.close()
        connection = wire(str(pooler.directory / f".s.PGSQL.{pooler.port}"))
        connection.startup(login=False, protocol=(3 << 16) + 2)
        connection.close()
    assert pooler.query("SELECT 1") == [(1,)]


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def test_a_server_that_talks_while_its_keys_are_derived(pgweir):
    """A million iterations take a while; what it says meanwhile waits, and it may go at any time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pooler = pgweir({"query_wait_timeout": 2, "server_tls_sslmode": "disable"},
                        databases={DATABASE: f"host=127.0.0.1 port={listener.getsockname()[1]} user=bob password=x"})
        job = Background(refusal, pooler)
        with listener.accept()[0] as server:
            server.recv(1000)
            server.sendall(message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"))
            nonce = server.recv(1000).split(b"r=")[1]
            challenge = b"r=" + nonce + b"more,s=c2FsdHNhbHRzYWx0,i=1000000"
            notice = message(b"N", b"SNOTICE\0C00000\0Mhello\0\0")
            server.sendall(message(b"R", struct.pack("!I", 11) + challenge) + notice)
            server.sendall(notice)
            pooler.console("SHOW VERSION")
            server.sendall(notice)
            pooler.console("SHOW VERSION")
        assert "query_wait_timeout" in job.result()
    assert pooler.console("SHOW VERSION")


def test_the_row_for_all_databases_does_not_open_the_console(pgweir, postgres):
    pooler = pgweir({"auth_type": "scram-sha-256"}, databases={"'*'": server_row(postgres, "auth_type=trust user=bob")})
    assert pooler.query("SELECT 1", DATABASE, password="wrong") == [(1,)]
    for name in ("pgbouncer", "pgweir"):
        assert "SASL authentication failed" in refusal(pooler, db=name, user=ADMIN, password="wrong")


def test_a_secret_with_too_many_iterations_keeps_nobody_busy(pgweir):
    many = scram_secret(password_of("alice")).replace("$4096:", "$2000000000:")
    pooler = pgweir({"auth_type": "plain"}, userlist={ADMIN: password_of(ADMIN), "alice": many, "carol": many, "bob": scram_secret(password_of("bob"))})
    for user in ("alice", "nobody", "alice", "nobody"):
        assert "password authentication failed" in refusal(pooler, user=user)
    assert pooler.query("SELECT 1", user="bob") == [(1,)]


def test_a_damaged_verifier_is_no_password(pgweir):
    damaged = scram_secret(password_of("alice"))[:-3]
    pooler = pgweir({"auth_type": "plain"}, userlist={ADMIN: password_of(ADMIN), "alice": damaged})
    assert "password authentication failed" in refusal(pooler, password=damaged)


@pytest.mark.parametrize("name", ["'", '"', "a;b", "\\'", "x" * 127])
@pytest.mark.parametrize("method", ["trust", "plain", "md5", "scram-sha-256"])
def test_odd_names_are_just_unknown(pgweir, name, method):
    pooler = pgweir({"auth_type": method})
    assert "authentication failed" in refusal(pooler, user=name, password="x")


def test_names_that_are_too_long_or_no_utf8(pgweir, wire):
    pooler = pgweir({"auth_type": "plain"})
    connection = wire(pooler)
    connection.startup(login=False, user="x" * 128)
    assert connection.read_error()["M"] == "username too long"
    connection = wire(pooler)
    body = b"user\0\xff\xfe\x01\0database\0test\0\0"
    connection.send_raw(struct.pack("!II", len(body) + 8, 3 << 16) + body)
    assert connection.read_message() == (b"R", b"\0\0\0\3")
    assert "\x01" not in pooler.log()


def test_a_password_of_65530_bytes_works_and_one_more_does_not(pgweir):
    long = "p" * 65530
    pooler = pgweir({"auth_type": "plain"}, userlist={ADMIN: password_of(ADMIN), "alice": long})
    raw_password(pooler, long)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        raw_password(pooler, long + "p")
