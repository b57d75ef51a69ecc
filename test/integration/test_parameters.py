# SPDX-License-Identifier: ISC
"""Parameters of a session: the greeting, each client's own values on shared servers, startup parameters."""
import contextlib
import random
import threading

import psycopg
import pytest
from conftest import DATABASE, covers, wait_until
from helpers import SYNC, backend, bind, error_in, execute, parse, pool, refusal, server_row, servers, setting

TRACKED = ("TimeZone", "DateStyle", "IntervalStyle", "client_encoding", "application_name", "standard_conforming_strings")
SHOW = "SELECT " + ", ".join(f"current_setting('{name}')" for name in TRACKED)
REPORTED = {"server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "IntervalStyle", "integer_datetimes",
            "standard_conforming_strings", "application_name", "is_superuser", "session_authorization"}


@pytest.fixture
def pooler(pgweir):
    return pgweir({"default_pool_size": 1, "pool_mode": "transaction"})


def values(connection):
    return dict(zip(TRACKED, connection.execute(SHOW).fetchone()))


# ---- greeting ----


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_the_greeting_has_what_postgresql_reports(pgweir, postgres, wire, mode):
    pooler = pgweir()
    direct, pooled = wire(postgres), wire(pooler)
    direct.startup(user="alice", application_name="greeted")
    pooled.startup(user="alice", database=f"test_{mode}", application_name="greeted")
    assert REPORTED <= set(direct.parameters)
    assert pooled.parameters == direct.parameters


def test_the_greeting_comes_in_postgresql_s_order(pooler, wire):
    connection = wire(pooler)
    kinds = connection.kinds(connection.startup())
    assert kinds == b"R" + b"S" * len(connection.parameters) + b"KZ"


def test_the_greeting_has_the_client_s_own_values(pooler, wire):
    first = wire(pooler)
    first.startup()
    second = wire(pooler)
    second.startup(application_name="second", timezone="Asia/Tokyo", client_encoding="LATIN1", datestyle="German, DMY")
    assert second.parameters["application_name"] == "second"
    assert second.parameters["TimeZone"] == "Asia/Tokyo"
    assert second.parameters["client_encoding"] == "LATIN1"
    assert second.parameters["DateStyle"] == "German, DMY"
    third = wire(pooler)
    third.startup()
    assert third.parameters == first.parameters


# ---- own values on a shared server ----


def test_each_client_has_its_own_values_on_one_server(pooler):
    wanted = [
        {"TimeZone": "Europe/Berlin", "DateStyle": "German, DMY", "IntervalStyle": "iso_8601", "client_encoding": "LATIN1", "application_name": "one"},
        {"TimeZone": "Asia/Tokyo", "DateStyle": "SQL, MDY", "IntervalStyle": "sql_standard", "client_encoding": "UTF8", "application_name": "two"},
        {"TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres_verbose", "client_encoding": "WIN1252", "application_name": "it's; \"3\\"},
    ]
    clients = []
    for want in wanted:
        client = pooler.connect(application_name=want["application_name"], client_encoding=want["client_encoding"])
        for name in ("TimeZone", "DateStyle", "IntervalStyle"):
            client.execute(f"SET {name} = '{want[name]}'")
        clients.append(client)
    order = random.Random(5)
    for _ in range(60):
        n = order.randrange(3)
        got = values(clients[n])
        assert {name: got[name] for name in wanted[n]} == wanted[n]
    assert len({backend(client) for client in clients}) == 1
    for client in clients:
        client.close()


def test_values_decide_what_the_client_gets(pooler):
    with pooler.connect(client_encoding="LATIN1") as latin, pooler.connect(client_encoding="UTF8") as utf8:
        latin.execute("SET TimeZone = 'Asia/Tokyo'")
        utf8.execute("SET DateStyle = 'German'")
        for _ in range(5):
            assert latin.execute("SELECT 'é', '2026-01-01 00:00 UTC'::timestamptz::text").fetchone() == ("é", "2026-01-01 09:00:00+09")
            assert utf8.execute("SELECT 'é', '2026-01-31'::date::text").fetchone() == ("é", "31.01.2026")


def test_set_follows_the_client_and_rollback_takes_it_back(pooler):
    with pooler.connect() as a, pooler.connect() as b:
        default = values(a)
        a.execute("BEGIN")
        a.execute("SET TimeZone = 'Asia/Tokyo'")
        a.execute("ROLLBACK")
        assert values(a) == values(b) == default
        a.execute("BEGIN")
        a.execute("SET TimeZone = 'Asia/Tokyo'")
        a.execute("SET LOCAL DateStyle = 'German'")
        assert values(a)["DateStyle"] == "German, DMY"
        a.execute("COMMIT")
        assert values(b) == default
        assert values(a) == {**default, "TimeZone": "Asia/Tokyo"}
        a.execute("RESET TimeZone")
        assert values(b) == default


def test_set_by_set_config_and_by_the_extended_protocol(pooler, wire):
    connection, other = wire(pooler), wire(pooler)
    connection.startup()
    other.startup()
    connection.send_raw(parse("SELECT set_config('timezone', $1, false)") + bind("America/Lima") + execute() + SYNC)
    connection.read_until(b"Z")
    for _ in range(3):
        assert other.rows(other.query("SHOW timezone")) != [[b"America/Lima"]]
        connection.send_raw(parse("SHOW timezone") + bind() + execute() + SYNC)
        assert connection.rows(connection.read_until(b"Z")) == [[b"America/Lima"]]


def test_the_change_of_values_is_not_told_to_the_client(pooler, wire):
    """Whatever the pooler does to a server to fit it to a client, the client sees its own messages only."""
    clients = [wire(pooler) for _ in range(2)]
    for client, zone in zip(clients, ("Asia/Tokyo", "America/Lima")):
        client.startup(timezone=zone)
    for _ in range(10):
        for client in clients:
            assert client.kinds(client.query("SELECT 1")) == b"TDCZ"
            client.send_raw(parse("SELECT 1") + bind() + execute() + SYNC)
            assert client.kinds(client.read_until(b"Z")) == b"12DCZ"
            assert client.kinds(client.query("SELECT 1/0")) == b"EZ"


def test_values_of_a_session_are_those_of_its_server(pgweir):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_session", application_name="first", options="-c timezone=Asia/Tokyo") as first:
        assert values(first)["TimeZone"] == "Asia/Tokyo"
        pid = backend(first)
    with pooler.connect("test_session", application_name="second") as second:
        assert backend(second) == pid
        assert values(second)["TimeZone"] != "Asia/Tokyo" and values(second)["application_name"] == "second"


def test_a_value_that_postgresql_refuses_is_told_to_that_client_only(pooler, wire):
    connection = wire(pooler)
    connection.startup(login=False, timezone="Nowhere/Land")
    while True:
        kind, body = connection.read_message()
        if kind == b"E":
            error = connection.fields(body)
            break
        if kind == b"Z":
            connection.send(b"Q", b"SELECT 1\0")
            error = connection.read_error()
            break
    assert error["C"] == "22023" and "Nowhere/Land" in str(error)
    assert pooler.query("SELECT 1") == [(1,)]


def test_many_clients_with_values_of_their_own_at_once(pgweir):
    pooler = pgweir({"default_pool_size": 3, "pool_mode": "transaction"})
    zones = ["Europe/Berlin", "Asia/Tokyo", "America/Lima", "UTC", "Africa/Cairo"]
    wrong = []

    def client(number):
        zone, name = zones[number % 5], f"client{number}"
        with pooler.connect(application_name=name, options=f"-c timezone={zone}") as connection:
            for _ in range(40):
                got = connection.execute("SELECT current_setting('TimeZone'), current_setting('application_name')").fetchone()
                if got != (zone, name):
                    wrong.append((got, zone, name))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(servers(pooler)) <= 3


@covers("client_encoding", "datestyle", "timezone", "application_name", scope="database")
def test_values_of_the_database_row_are_the_clients_defaults(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction"}, databases={
        DATABASE: server_row(postgres, "timezone=Asia/Tokyo datestyle=German client_encoding=LATIN1 application_name=from_row")})
    with pooler.connect() as connection:
        got = values(connection)
        assert (got["TimeZone"], got["client_encoding"], got["application_name"]) == ("Asia/Tokyo", "LATIN1", "from_row")
        assert got["DateStyle"].startswith("German")


# ---- startup parameters ----


@covers("ignore_startup_parameters")
def test_an_unknown_startup_parameter_is_refused_unless_ignored(pgweir, wire):
    error = refusal(wire(pgweir({"startup_parameters": "refuse"})), extra_float_digits="3")
    assert error["S"] == "FATAL" and error["M"] == "unsupported startup parameter: extra_float_digits"
    connection = wire(pgweir({"ignore_startup_parameters": "search_path, extra_float_digits"}))
    assert connection.startup(extra_float_digits="3", search_path="x")[-1] == (b"Z", b"I")
    assert connection.rows(connection.query("SHOW search_path")) != [[b"x"]]


def test_options_set_tracked_parameters_and_no_others_where_those_are_refused(pgweir, wire):
    pooler = pgweir({"startup_parameters": "refuse"})
    connection = wire(pooler)
    connection.startup(options="-c timezone=Asia/Tokyo --DateStyle=German -c application_name=with\\ blank")
    assert connection.parameters["TimeZone"] == "Asia/Tokyo" and connection.parameters["application_name"] == "with blank"
    assert connection.rows(connection.query("SHOW datestyle")) == [[b"German, DMY"]]
    error = refusal(wire(pooler), options="-c work_mem=1MB")
    assert error["M"] == "unsupported startup parameter in options: work_mem"
    error = refusal(wire(pooler), options="-x")
    assert error["M"] == "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed"
    assert wire(pgweir({"ignore_startup_parameters": "options"})).startup(options="-c work_mem=1MB")[-1] == (b"Z", b"I")


def test_a_startup_without_a_user_is_refused(pgweir, wire):
    connection = wire(pgweir())
    connection.send_raw(connection.startup_packet({"database": DATABASE}))
    error = connection.read_error()
    assert (error["S"], error["M"]) == ("FATAL", "no username supplied")
    connection.expect_closed()


def test_the_database_is_the_user_s_name_unless_told(pgweir, postgres, wire):
    pooler = pgweir(databases={"alice": server_row(postgres)})
    connection = wire(pooler)
    connection.send_raw(connection.startup_packet({"user": "alice"}))
    connection.read_until(b"Z")
    assert connection.rows(connection.query("SELECT current_user")) == [[b"alice"]]


@pytest.mark.parametrize("minor,options", [(2, {}), (99, {}), (0, {"_pq_.unknown": "1"})])
def test_newer_protocols_are_negotiated(pgweir, wire, minor, options):
    connection = wire(pgweir())
    connection.send_raw(connection.startup_packet({"user": "alice", "database": DATABASE, **options}, (3 << 16) + minor))
    messages = connection.read_until(b"Z")
    assert (b"v" in connection.kinds(messages)) or minor == 2
    for kind, body in messages:
        if kind == b"v":
            assert all(name.encode() + b"\0" in body for name in options)
    assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]


def test_protocol_2_is_refused(pgweir, wire):
    connection = wire(pgweir())
    connection.send_raw(connection.startup_packet({"user": "alice"}, 2 << 16))
    assert connection.read_error()["M"] == "old V2 protocol not supported"
    connection.expect_closed()


def test_a_failing_set_of_the_client_changes_nothing(pooler):
    with pooler.connect() as a:
        before = values(a)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            a.execute("SET TimeZone = 'Nowhere/Land'")
        assert values(a) == before


def test_values_survive_an_error_in_the_first_request(pooler, wire):
    """The values travel with the client's first request: its failing must not lose them."""
    a, b = wire(pooler), wire(pooler)
    a.startup(timezone="Asia/Tokyo")
    b.startup(timezone="America/Lima")
    for _ in range(5):
        assert error_in(a.query("SELECT 1/0"))["C"] == "22012"
        assert a.rows(a.query("SHOW timezone")) == [[b"Asia/Tokyo"]]
        assert error_in(b.query("nonsense"))["C"] == "42601"
        assert b.rows(b.query("SHOW timezone")) == [[b"America/Lima"]]


# ---- startup parameters that PostgreSQL does not report ----


def current(connection, *names):
    """Their values, in one request."""
    return connection.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names)).fetchone()


@contextlib.contextmanager
def on_every_server(pooler, count, **startup):
    """Connections of one kind to so many servers at once, each in a transaction."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(pooler.connect(**startup))) for _ in range(count)]
        for client in clients:
            client.execute("BEGIN")
        assert len({backend(client) for client in clients}) == count
        yield clients
        for client in clients:
            client.execute("ROLLBACK")


@covers("startup_parameters")
def test_startup_parameters_are_in_force_on_every_server_and_gone_for_the_next_client(pgweir):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3})
    startup = {"options": "-c statement_timeout=5432 --lock-timeout=17s -cmy.own=it\\'s\\ \\\\"}
    names = "statement_timeout", "lock_timeout"
    with on_every_server(pooler, 3) as clients:
        assert [current(client, *names) for client in clients] == [("0", "0")] * 3
    for _ in range(2):
        with on_every_server(pooler, 3, **startup) as clients:
            assert [current(client, *names, "my.own") for client in clients] == [("5432ms", "17s", "it's \\")] * 3
        with on_every_server(pooler, 3) as clients:
            assert [current(client, *names) for client in clients] == [("0", "0")] * 3
            own = "SELECT coalesce(current_setting('my.own', true), '')"
            assert [client.execute(own).fetchone() for client in clients] == [("",)] * 3
    assert len(servers(pooler)) == 3


def test_a_statement_timeout_acts_on_its_client_only(pgweir):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1})
    with pooler.connect(options="-c statement_timeout=200") as hurried, pooler.connect() as patient:
        for _ in range(2):
            with pytest.raises(psycopg.errors.QueryCanceled):
                hurried.execute("SELECT pg_sleep(5)")
            patient.execute("SELECT pg_sleep(0.4)")


@pytest.mark.parametrize("reset", ["DISCARD ALL", "RESET ALL", ""])
def test_startup_parameters_end_with_their_session(pgweir, reset):
    pooler = pgweir({"pool_mode": "session", "default_pool_size": 1, "server_reset_query": reset}, userlist={"postgres": "x", "admin": "x"})
    for _ in range(2):
        with pooler.connect(user="postgres", options="-c work_mem=1234 -c role=bob") as client:
            assert current(client, "work_mem", "role") == ("1234kB", "bob")
            pid = backend(client)
        with pooler.connect(user="postgres") as client:
            assert current(client, "work_mem", "role") == ("4MB", "none") and backend(client) == pid


def test_what_stands_beside_options_comes_before_what_is_inside(pgweir, wire):
    connection = wire(pgweir({"pool_mode": "transaction"}))
    connection.startup(work_mem="1MB", options="-c work_mem=2MB -c lock_timeout=1s -c lock_timeout=2s --application-name=x")
    assert connection.parameters["application_name"] == "x"
    assert connection.rows(connection.query("SHOW work_mem")) == [[b"1MB"]]
    assert connection.rows(connection.query("SHOW lock_timeout")) == [[b"2s"]]


def test_a_search_path_of_several_schemas(pgweir, postgres):
    postgres.execute('DROP SCHEMA IF EXISTS one CASCADE; DROP SCHEMA IF EXISTS "Two, 2" CASCADE; CREATE SCHEMA one; CREATE SCHEMA "Two, 2";'
                     'GRANT USAGE ON SCHEMA one, "Two, 2" TO PUBLIC; CREATE VIEW one.a AS SELECT 1; CREATE VIEW "Two, 2".b AS SELECT 2;'
                     'GRANT SELECT ON one.a, "Two, 2".b TO PUBLIC')
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1})
    options = '-c search_path=one,\\ "Two,\\ 2"'
    with pooler.connect(options=options) as client, pooler.connect() as other:
        for _ in range(3):
            assert client.execute("SELECT * FROM a, b").fetchone() == (1, 2)
            assert current(client, "search_path") == ('one, "Two, 2"',)
            assert current(other, "search_path") == ('"$user", public',)
            with pytest.raises(psycopg.errors.UndefinedTable):
                other.execute("SELECT * FROM a")


@pytest.mark.parametrize("startup,sqlstate", [
    ({"work_mem": "lots"}, "22023"),
    ({"options": "-c statement_timeout=-5"}, "22023"),
    ({"no_such_thing": "1"}, "42704"),
    ({"options": "--no-such-thing=1"}, "42704"),
    ({"log_statement": "all"}, "42501"),
    ({"shared_buffers": "1MB"}, "55P02"),
    ({"no such name": "1"}, "42704"),
])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_what_postgresql_refuses_is_refused_at_login_in_its_words(pgweir, postgres, wire, mode, startup, sqlstate):
    pooler = pgweir({"pool_mode": mode, "default_pool_size": 1})
    with pooler.connect() as client:
        pid = backend(client)
    for _ in range(3):
        error = refusal(wire(pooler), **startup)
        expected = refusal(wire(postgres), **startup)
        assert {name: error.get(name) for name in "SCMDH"} == {name: expected.get(name) for name in "SCMDH"}
        assert error["C"] == sqlstate and error["S"] == "FATAL"
    with pooler.connect() as client:
        assert backend(client) == pid
    assert pool(pooler)["cl_active"] == 0


def test_values_do_not_pass_from_user_to_user(pgweir, wire):
    """What a superuser may set is not taken as good for others."""
    pooler = pgweir({"pool_mode": "transaction"}, userlist={"postgres": "x", "alice": "x", "admin": "x"})
    superuser = wire(pooler)
    superuser.startup(user="postgres", log_min_duration_statement="1234567")
    assert superuser.rows(superuser.query("SHOW log_min_duration_statement")) == [[b"1234567ms"]]
    assert refusal(wire(pooler), log_min_duration_statement="1234567")["C"] == "42501"


def test_a_role_is_put_aside_for_the_next_client(pgweir):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1}, userlist={"postgres": "x", "admin": "x"})
    with pooler.connect(user="postgres", options="-c role=bob -c log_statement=all") as first, \
            pooler.connect(user="postgres") as second, pooler.connect(user="postgres", options="-c log_statement=mod -c role=bob") as third:
        for _ in range(3):
            assert current(first, "role", "log_statement") == ("bob", "all")
            assert current(second, "role", "log_statement") == ("none", "none")
            assert current(third, "role", "log_statement") == ("bob", "mod")
            assert current(first, "role", "log_statement") == ("bob", "all")
    assert len(servers(pooler)) == 1


def test_ignored_parameters_are_not_applied(pgweir, wire):
    pooler = pgweir({"ignore_startup_parameters": "work_mem", "pool_mode": "transaction"})
    connection = wire(pooler)
    connection.startup(work_mem="nonsense", lock_timeout="3s")
    assert connection.rows(connection.query("SHOW work_mem")) == [[b"4MB"]]
    assert connection.rows(connection.query("SHOW lock_timeout")) == [[b"3s"]]


def test_the_greeting_has_a_reported_value_that_is_not_tracked(pooler, wire):
    connection, other = wire(pooler), wire(pooler)
    connection.startup(default_transaction_read_only="on")
    other.startup()
    assert connection.parameters["default_transaction_read_only"] == "on"
    assert other.parameters["default_transaction_read_only"] == "off"
    for _ in range(2):
        assert connection.rows(connection.query("SHOW default_transaction_read_only")) == [[b"on"]]
        assert other.rows(other.query("SHOW default_transaction_read_only")) == [[b"off"]]


def test_who_must_be_tried_waits_out_a_pause(pgweir, wire):
    pooler = pgweir({"pool_mode": "transaction", "query_wait_timeout": 30})
    assert pooler.query("SELECT 1") == [(1,)]
    pooler.console("PAUSE")
    connection = wire(pooler)
    connection.startup(login=False, work_mem="5MB")
    wait_until(lambda: (pool(pooler) or {}).get("cl_waiting") == 1)
    pooler.console("RESUME")
    assert connection.read_until(b"Z")[-1] == (b"Z", b"I")
    assert connection.rows(connection.query("SHOW work_mem")) == [[b"5MB"]]


def test_many_clients_with_startup_parameters_of_their_own(pgweir):
    pooler = pgweir({"default_pool_size": 3, "pool_mode": "transaction"})
    wrong = []

    def client(number):
        options = [f"-c work_mem={100 + number % 4}", f"-c lock_timeout={1 + number % 3}s", "-c search_path=x,y"]
        with pooler.connect(options=" ".join(options[:number % 4])) as connection:
            wanted = (f"{100 + number % 4}kB" if number % 4 > 0 else "4MB", f"{1 + number % 3}s" if number % 4 > 1 else "0",
                      "x,y" if number % 4 > 2 else '"$user", public')
            for _ in range(40):
                got = current(connection, "work_mem", "lock_timeout", "search_path")
                if got != wanted:
                    wrong.append((got, wanted))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(servers(pooler)) <= 3


# ---- other parameters are tracked ----


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_another_list_of_tracked_parameters_is_for_those_who_are_there(pgweir, mode):
    pooler = pgweir({"track_extra_parameters": "", "pool_mode": mode, "default_pool_size": 2})
    names = "IntervalStyle", "default_transaction_read_only"
    with pooler.connect() as a, pooler.connect() as b:
        first = {backend(a), backend(b)}
        pooler.change_config(track_extra_parameters=", ".join(names))
        pooler.reload()
        if mode == "session":  # a session keeps its server
            assert {backend(a), backend(b)} == first
            a.close()
            b.close()
            a, b = pooler.connect(), pooler.connect()
        assert not {backend(a), backend(b)} & first
        a.execute("SET IntervalStyle = iso_8601")
        b.execute("SET default_transaction_read_only = on")
        for _ in range(3):
            assert current(a, *names) == ("iso_8601", "off")
            assert current(b, *names) == ("postgres", "on")
        a.close()
        b.close()


def test_a_list_that_cannot_be_tracked_changes_nothing(pgweir):
    pooler = pgweir({"pool_mode": "transaction"})
    with pooler.connect() as client:
        client.execute("SET IntervalStyle = iso_8601")
        pid = backend(client)
        for wrong in ("a b", ", ".join(f"x{n}" for n in range(28))):
            pooler.change_config(track_extra_parameters=wrong, default_pool_size=7)
            with pytest.raises(psycopg.Error) as refused:
                pooler.reload()
            assert "pgweir.ini:" in str(refused.value) and "track_extra_parameters" in str(refused.value)
        assert setting(pooler, "track_extra_parameters") == "IntervalStyle" and setting(pooler, "default_pool_size") == "20"
        assert current(client, "IntervalStyle") == ("iso_8601",) and backend(client) == pid


@pytest.mark.parametrize("tracked", ["search_path", "IntervalStyle"])
def test_search_path_with_postgresql_18(pgweir, postgres18, wire, tracked):
    """It reports search_path: then it follows its client like any other that is tracked."""
    pooler = pgweir({"track_extra_parameters": tracked, "pool_mode": "transaction", "default_pool_size": 1},
                    databases={DATABASE: server_row(postgres18)})
    asked, plain = wire(pooler), wire(pooler)
    asked.startup(search_path='one, "Two, 2"')
    plain.startup()
    assert asked.parameters["search_path"] == 'one, "Two, 2"' and plain.parameters["search_path"] == '"$user", public'
    for _ in range(3):
        assert asked.rows(asked.query("SHOW search_path")) == [[b'one, "Two, 2"']]
        assert plain.rows(plain.query("SHOW search_path")) == [[b'"$user", public']]
    if tracked == "search_path":
        plain.query("SET search_path = three, \"it's\"")
        for _ in range(3):
            assert asked.rows(asked.query("SHOW search_path")) == [[b'one, "Two, 2"']]
            assert plain.rows(plain.query("SHOW search_path")) == [[b'three, "it\'s"']]


# ---- RESET and DISCARD ALL ----

RESET_SHOW = "SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('statement_timeout'), current_setting('application_name')"
RESETS = [  # what is sent as it is (a text) or both as it is and by the extended protocol (in a tuple)
    "SET TimeZone = 'UTC'; SET DateStyle = 'SQL'; SET application_name = 'x'", RESET_SHOW, ("RESET ALL",), RESET_SHOW, RESET_SHOW,
    "SET TimeZone = 'UTC'", "SET DateStyle = 'SQL, DMY'", ("RESET TimeZone",), RESET_SHOW, "SET TimeZone = 'UTC'", ("SET TimeZone TO DEFAULT",), RESET_SHOW,
    ("DISCARD ALL",), RESET_SHOW, "BEGIN", "SET TimeZone = 'UTC'", ("RESET ALL",), RESET_SHOW, "ROLLBACK", RESET_SHOW,
    "SET TimeZone = 'UTC'", "BEGIN", ("RESET ALL",), RESET_SHOW, "ROLLBACK", RESET_SHOW, "BEGIN", ("DISCARD ALL",), RESET_SHOW, "ROLLBACK", RESET_SHOW,
    "RESET ALL; SELECT 1/0", RESET_SHOW, "SELECT 1; RESET ALL; SELECT 2", RESET_SHOW, "SET statement_timeout = 77; RESET statement_timeout",
    RESET_SHOW, "BEGIN; RESET ALL; COMMIT", RESET_SHOW,
]


def run_resets(dsn, extended):
    connection = psycopg.pq.PGconn.connect(dsn.encode())
    assert connection.status == psycopg.pq.ConnStatus.OK, connection.error_message
    answers = []
    for step in RESETS:
        text = step if isinstance(step, str) else step[0]
        by_protocol = extended and not isinstance(step, str)
        result = connection.exec_params(text.encode(), []) if by_protocol else connection.exec_(text.encode())
        answers.append((text, result.command_status, result.error_field(psycopg.pq.DiagnosticField.SQLSTATE),
                        [result.get_value(0, column) for column in range(result.nfields)],
                        [connection.parameter_status(name) for name in (b"TimeZone", b"DateStyle", b"application_name")],
                        connection.transaction_status))
    connection.finish()
    return answers


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_reset_comes_back_to_what_the_client_asked_for(pgweir, postgres, mode, extended):
    pooler = pgweir({"pool_mode": mode, "default_pool_size": 2, "server_round_robin": 1})
    asked = {"application_name": "me", "options": "-c statement_timeout=4321 -c timezone=Asia/Tokyo"}
    wanted = run_resets(postgres.dsn(user="alice", **asked), extended)
    assert run_resets(pooler.dsn(**asked), extended) == wanted
    with pooler.connect() as other:  # and is gone for the next
        assert other.execute(RESET_SHOW).fetchone()[2] == "0"


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL"])
def test_each_change_is_told_once(pgweir, wire, mode, reset):
    pooler = pgweir({"pool_mode": mode})
    connection = wire(pooler)
    connection.startup(TimeZone="Asia/Tokyo", DateStyle="SQL, DMY")
    connection.query("SET TimeZone = 'UTC'")
    connection.query("SET DateStyle = 'German'")
    answers = connection.query(reset)
    told = sorted(body for kind, body in answers if kind == b"S")
    assert told == [b"DateStyle\0SQL, DMY\0", b"TimeZone\0Asia/Tokyo\0"]
    assert connection.kinds(answers)[-1:] == b"Z"
    assert [body for kind, body in connection.query(reset) if kind == b"S"] == []


def test_what_was_reset_and_not_set_again_is_nobody_s(pgweir, postgres):
    """The client vanishes behind its RESET: no server that lacks its values is taken for one that has them."""
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1})
    asked = {"options": "-c statement_timeout=4321"}
    with pooler.connect(**asked) as client:
        pid = client.execute("SELECT pg_backend_pid()").fetchone()[0]
    going = psycopg.pq.PGconn.connect(pooler.dsn(**asked).encode())
    going.send_query(b"RESET ALL; SELECT pg_sleep(60)")
    going.flush()
    wait_until(lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", (pid,)), what="its query")
    going.finish()
    with pooler.connect(**asked) as client:
        assert client.execute("SHOW statement_timeout").fetchone() == ("4321ms",)


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_a_reset_in_a_pipeline_is_over_before_what_follows(pgweir, wire, mode, extended):
    connection = wire(pgweir({"pool_mode": mode, "default_pool_size": 1}))
    connection.startup(options="-c statement_timeout=4321", TimeZone="Asia/Tokyo")
    show = connection.message(b"Q", b"SELECT current_setting('statement_timeout'), current_setting('TimeZone')\0")
    reset = (parse("RESET ALL") + bind() + execute() + SYNC if extended else connection.message(b"Q", b"RESET ALL\0"))
    for behind in (b"", connection.message(b"Q", b"SELECT 1/0\0"), connection.message(b"Q", b"BEGIN\0") + connection.message(b"Q", b"ROLLBACK\0")):
        connection.send_raw(show + connection.message(b"Q", b"SET TimeZone = 'UTC'\0") + reset + show + behind + show)
        parts = [connection.read_until(b"Z") for _ in range(5 + behind.count(b"Q\0\0"))]
        for part in (parts[0], parts[3], parts[-1]):
            assert connection.rows(part) == [[b"4321ms", b"Asia/Tokyo"]]
