# SPDX-License-Identifier: ISC
"""The admin console: every command over both protocols, who may give it, and what it does."""
import concurrent.futures
import os
import pwd
import re
import socket
import time

import psycopg
import psycopg.rows
import pytest

from conftest import ADMIN, Unprivileged, covers, wait_until

SHOWS = (
    "ACTIVE_SOCKETS", "CLIENTS", "CONFIG", "DATABASES", "DNS_HOSTS", "DNS_ZONES", "LISTS", "MEM", "PEERS",
    "PEER_POOLS", "POOLS", "SERVERS", "SOCKETS", "STATE", "STATS", "STATS_AVERAGES", "STATS_TOTALS", "TOTALS",
    "USERS", "VERSION",
)
HAS_NUMERIC = ("STATS", "STATS_AVERAGES", "STATS_TOTALS", "TOTALS")
# Commands that always succeed in this order, with their tags.
COMMANDS = (
    ("RELOAD", "RELOAD"), ("PAUSE", "PAUSE"), ("RESUME", "RESUME"), ("PAUSE test", "PAUSE"), ("RESUME test", "RESUME"),
    ("DISABLE test", "DISABLE"), ("ENABLE test", "ENABLE"), ("RECONNECT", "RECONNECT"), ("RECONNECT test", "RECONNECT"),
    ("KILL test", "KILL"), ("RESUME test", "RESUME"), ("WAIT_CLOSE", "WAIT_CLOSE"), ("WAIT_CLOSE test", "WAIT_CLOSE"),
    ("SET default_pool_size = 7", "SET default_pool_size=7"), ("SET default_pool_size TO '8'", "SET default_pool_size=8"),
    ("KILL", "KILL"), ("RESUME", "RESUME"), ("set DateStyle = 'ISO'", "SET"), ("SHOW HELP", "SHOW"),
)
TRANSACTION = {"pool_mode": "transaction"}
BUSY = {"default_pool_size": 1, **TRANSACTION}


@pytest.fixture
def admin(pgweir):
    """A pooler in transaction mode and a console connection to it."""
    pooler = pgweir({**TRANSACTION, "stats_users": "carol"})
    with pooler.connect("pgbouncer", ADMIN) as connection:
        yield pooler, connection


def refused(connection, sql, sqlstate, message):
    """The command is refused so, and the connection goes on."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql)
    assert (caught.value.sqlstate, caught.value.diag.message_primary) == (sqlstate, message)
    assert connection.execute("SHOW VERSION").fetchone()
    return caught.value


def rows_of(connection, sql):
    return connection.cursor(row_factory=psycopg.rows.dict_row).execute(sql).fetchall()


def setting(connection, key):
    (row,) = [row for row in rows_of(connection, "SHOW CONFIG") if row["key"] == key]
    return row["value"]


def pool_of(pooler, database="test", user="alice"):
    (row,) = [row for row in pooler.console("SHOW POOLS") if (row["database"], row["user"]) == (database, user)]
    return row


def later(function, *arguments):
    """Run function in a thread; answers the Future."""
    executor = concurrent.futures.ThreadPoolExecutor(1)
    future = executor.submit(function, *arguments)
    executor.shutdown(wait=False)
    return future


def waits(future, seconds=0.3):
    time.sleep(seconds)
    return not future.done()


# ---- commands over both protocols ----


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_each_command_is_answered_with_its_tag(admin, prepare):
    _, connection = admin
    tags = [connection.execute(sql, prepare=prepare).statusmessage for sql, _ in COMMANDS]
    assert tags == [tag for _, tag in COMMANDS]


@pytest.mark.parametrize("show", SHOWS)
def test_each_show_is_the_same_over_both_protocols(admin, show):
    _, connection = admin
    simple = connection.execute(f"SHOW {show}")
    prepared = connection.execute(f"show {show.lower()};", prepare=True)
    assert [(c.name, c.type_code) for c in simple.description] == [(c.name, c.type_code) for c in prepared.description]
    assert simple.statusmessage == prepared.statusmessage == "SHOW"
    assert simple.rowcount == prepared.rowcount
    for row in simple.fetchall() + prepared.fetchall():
        assert len(row) == len(simple.description)


@pytest.mark.parametrize("show", [show for show in SHOWS if show not in HAS_NUMERIC])
def test_a_binary_cursor_reads_what_a_text_cursor_reads(admin, show):
    _, connection = admin
    volatile = {"request_time", "wait", "wait_us", "maxwait_us", "used", "free", "memtotal", "recv_pos", "send_remain"}
    text = rows_of(connection, f"SHOW {show}")
    binary = connection.cursor(binary=True, row_factory=psycopg.rows.dict_row).execute(f"SHOW {show}").fetchall()
    for rows in (text, binary):
        for row in rows:
            for key in volatile & set(row):
                del row[key]
    assert binary == text


@pytest.mark.parametrize("show", HAS_NUMERIC)
def test_numerics_are_refused_in_binary(admin, show):
    _, connection = admin
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="in text format only"):
        connection.cursor(binary=True).execute(f"SHOW {show}")
    assert connection.execute(f"SHOW {show}").fetchall()


def test_a_client_cursor_writes_its_parameters_into_the_command(admin):
    _, connection = admin
    cursor = psycopg.ClientCursor(connection)
    cursor.execute("SET default_pool_size = %s", [9])
    assert cursor.statusmessage == "SET default_pool_size=9"
    cursor.execute("SET server_reset_query = %s", ["it's; x"])
    assert setting(connection, "server_reset_query") == "it's; x"


def test_parameters_of_bind_are_refused(admin):
    _, connection = admin
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="takes no parameters"):
        connection.execute("SET default_pool_size = %s", [9])
    assert connection.execute("SHOW VERSION").fetchone()


def test_both_names_of_the_console_answer_alike(admin):
    pooler, connection = admin
    assert pooler.console("SHOW VERSION", db="pgweir") == rows_of(connection, "SHOW VERSION")
    refused(connection, "PAUSE pgbouncer", "0A000", "cannot pause admin db: pgbouncer")
    refused(connection, "KILL pgweir", "0A000", "cannot kill admin db: pgweir")


def test_several_commands_in_one_query_are_answered_in_turn(pgweir, wire):
    console = wire(pgweir())
    console.startup(user=ADMIN, database="pgbouncer")
    answer = console.query("SHOW VERSION; PAUSE ;; RESUME; SHOW STATE")
    assert console.kinds(answer) == b"TDCCCTDDDCZ"
    assert [body for kind, body in answer if kind == b"C"] == [b"SHOW\0", b"PAUSE\0", b"RESUME\0", b"SHOW\0"]
    assert console.rows(answer)[1:] == [[b"active", b"yes"], [b"paused", b"no"], [b"suspended", b"no"]]


def test_an_error_ends_a_query_of_several_commands(pgweir, wire):
    console = wire(pgweir())
    console.startup(user=ADMIN, database="pgbouncer")
    answer = console.query("PAUSE; NONSENSE; RESUME")
    assert console.kinds(answer) == b"CEZ"
    assert console.rows(console.query("SHOW STATE"))[1] == [b"paused", b"yes"]
    assert console.kinds(console.query("RESUME")) == b"CZ"


@pytest.mark.parametrize("sql", ["", ";", " ; ;", "-- nothing"])
def test_an_empty_query_is_answered_as_empty(pgweir, wire, sql):
    console = wire(pgweir())
    console.startup(user=ADMIN, database="pgbouncer")
    assert console.kinds(console.query(sql)) == b"IZ"


def test_help_is_a_notice_that_lists_everything(admin):
    _, connection = admin
    notices = []
    connection.add_notice_handler(lambda it: notices.append((it.message_primary, it.message_detail)))
    assert connection.execute("SHOW HELP").statusmessage == "SHOW"
    ((message, detail),) = notices
    assert message == "Console usage"
    for name in SHOWS + ("RELOAD", "KILL_CLIENT id", "WAIT_CLOSE [database]", "SET name = value"):
        assert name in detail


@pytest.mark.parametrize("name, value", [
    ("client_encoding", "UTF-8"), ("default_transaction_isolation", "read committed"),
    ("standard_conforming_strings", "on"), ("DateStyle", "ISO"), ("timezone", "GMT"),
])
def test_parameters_that_drivers_ask_for_are_answered(admin, name, value):
    _, connection = admin
    assert connection.execute(f"SHOW {name}").fetchall() == [(value,)]


# ---- errors and permissions ----


@pytest.mark.parametrize("sql, sqlstate, message", [
    ("NONSENSE", "42601", "invalid command 'NONSENSE', use SHOW HELP;"),
    ("SHOW nonsense", "42601", "invalid command 'SHOW nonsense', use SHOW HELP;"),
    ("SHOW", "42601", "invalid command 'SHOW ', use SHOW HELP;"),
    ("PAUSE a b", "42601", "bad arguments: PAUSE [database]"),
    ("PAUSE 'a", "42601", "bad arguments: a quote is not closed"),
    ("PAUSE nowhere", "3D000", "no such database: nowhere"),
    ("DISABLE", "42601", "a database is required"),
    ("DISABLE pgbouncer", "0A000", "cannot disable admin db: pgbouncer"),
    ("RECONNECT pgbouncer", "0A000", "cannot reconnect admin db: pgbouncer"),
    ("WAIT_CLOSE pgbouncer", "0A000", "cannot wait in admin db: pgbouncer"),
    ("RESUME", "55000", "pooler is not paused/suspended"),
    ("RESUME test", "55000", "database test is not paused"),
    ("KILL_CLIENT x", "22023", "invalid client pointer supplied"),
    ("KILL_CLIENT 999999", "42704", "client not found"),
    ("SET default_pool_size", "42601", "bad arguments: SET name = value"),
    ("SET default_pool_size = x", "22023", "SET failed"),
    ("SET nonsense = 1", "42704", "SET failed"),
    ("SUSPEND", "0A000", "SUSPEND is not supported: use PAUSE"),
])
def test_a_command_in_error_is_refused_and_the_session_lives(admin, sql, sqlstate, message):
    _, connection = admin
    refused(connection, sql, sqlstate, message)


def test_pausing_twice_is_refused(admin):
    _, connection = admin
    connection.execute("PAUSE")
    refused(connection, "PAUSE", "55000", "already suspended/paused")
    connection.execute("RESUME")


@covers("admin_users", "stats_users")
@pytest.mark.parametrize("sql", sorted({sql for sql, _ in COMMANDS if not sql.startswith(("SHOW", "set"))}
                                       | {"KILL_CLIENT 1", "SHUTDOWN"}))
def test_stats_users_may_show_only(admin, sql):
    pooler, _ = admin
    with pooler.connect("pgbouncer", "carol") as connection:
        refused(connection, sql, "42501", "admin access needed")
        assert connection.execute("SHOW POOLS").fetchall()


def test_other_users_are_not_let_in(admin):
    pooler, _ = admin
    for name in ("pgbouncer", "pgweir"):
        with pytest.raises(psycopg.OperationalError, match="FATAL:  not allowed"):
            pooler.connect(name, "alice")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes on the daemon's user for a moment, which only root can")
def test_the_daemons_own_user_needs_no_password_over_the_unix_socket(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    with pytest.raises(psycopg.OperationalError):
        pooler.connect("pgbouncer", "pgbouncer", "", host=str(pooler.directory))
    os.seteuid(pwd.getpwnam(Unprivileged.name).pw_uid)
    try:
        for name in ("pgbouncer", "pgweir"):
            connection = pooler.connect(name, name, "", host=str(pooler.directory))
            assert connection.execute("RELOAD").statusmessage == "RELOAD"
            connection.close()
        with pytest.raises(psycopg.OperationalError):
            pooler.connect("pgbouncer", "pgbouncer", "")
    finally:
        os.seteuid(0)


# ---- PAUSE, RESUME, DISABLE ----


@pytest.mark.parametrize("sql", ["PAUSE", "PAUSE test"])
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_pause_is_answered_when_the_transaction_is_over(admin, sql, prepare):
    pooler, connection = admin
    with pooler.connect() as client, pooler.connect() as other:
        client.execute("BEGIN")
        pause = later(lambda: connection.execute(sql, prepare=prepare).statusmessage)
        assert waits(pause)
        held = later(lambda: other.execute("SELECT 1").fetchone())
        client.execute("SELECT 1")
        client.execute("COMMIT")
        assert pause.result(5) == "PAUSE"
        assert waits(held)
        assert pool_of(pooler)["sv_active"] == 0
        connection.execute(sql.replace("PAUSE", "RESUME"))
        assert held.result(5) == (1,)


def test_pause_closes_idle_servers(admin):
    pooler, connection = admin
    with pooler.connect() as client:
        client.execute("SELECT 1")
        wait_until(lambda: pool_of(pooler)["sv_idle"] == 1)
        connection.execute("PAUSE")
        assert rows_of(connection, "SHOW SERVERS") == []
        assert [row["value"] for row in rows_of(connection, "SHOW STATE")] == ["no", "yes", "no"]
        connection.execute("RESUME")
        assert client.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("sql", ["PAUSE", "PAUSE test"])
def test_a_cancelled_pause_is_taken_back(admin, sql):
    pooler, connection = admin
    with pooler.connect() as client, pooler.connect() as other:
        client.execute("BEGIN")
        pause = later(connection.execute, sql)
        assert waits(pause)
        held = later(lambda: other.execute("SELECT 1").fetchone())
        assert waits(held)
        connection.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            pause.result(5)
        assert held.result(5) == (1,)
        client.execute("COMMIT")
        assert connection.execute("SHOW VERSION").fetchone()


def test_a_pause_whose_client_leaves_is_taken_back(pgweir, wire):
    pooler = pgweir(TRANSACTION)
    console = wire(pooler)
    console.startup(user=ADMIN, database="pgbouncer")
    with pooler.connect() as client, pooler.connect() as other:
        client.execute("BEGIN")
        console.send(b"Q", b"PAUSE\0")
        assert console.quiet()
        console.close()
        wait_until(lambda: {"key": "paused", "value": "no"} in pooler.console("SHOW STATE"))
        assert other.execute("SELECT 1").fetchone() == (1,)
        client.execute("COMMIT")


def test_a_pause_that_is_resumed_by_another_ends_in_an_error(admin):
    pooler, connection = admin
    with pooler.connect() as client:
        client.execute("BEGIN")
        pause = later(connection.execute, "PAUSE")
        assert waits(pause)
        pooler.console("RESUME")
        with pytest.raises(psycopg.errors.QueryCanceled, match="undone by RESUME"):
            pause.result(5)
        client.execute("COMMIT")


def test_what_follows_a_pause_in_its_query_is_run_behind_it(pgweir, wire):
    pooler = pgweir(TRANSACTION)
    console = wire(pooler)
    console.startup(user=ADMIN, database="pgbouncer")
    with pooler.connect() as client:
        client.execute("BEGIN")
        console.send(b"Q", b"SHOW VERSION; PAUSE; RESUME; SHOW STATE\0")
        console.send(b"Q", b"SHOW VERSION\0")
        console.read_until(b"C")
        assert console.quiet()
        client.execute("COMMIT")
        assert console.kinds(console.read_until(b"Z")) == b"CCTDDDCZ"
        assert console.kinds(console.read_until(b"Z")) == b"TDCZ"


def test_a_disabled_database_lets_nobody_in_but_keeps_its_clients(admin):
    pooler, connection = admin
    with pooler.connect() as client:
        connection.execute("DISABLE test")
        assert [row["disabled"] for row in rows_of(connection, "SHOW DATABASES") if row["name"] == "test"] == [1]
        with pytest.raises(psycopg.OperationalError, match="FATAL"):
            pooler.connect()
        assert client.execute("SELECT 1").fetchone() == (1,)
        assert pooler.query("SELECT 1", db="test_session") == [(1,)]
        connection.execute("ENABLE test")
        assert pooler.query("SELECT 1") == [(1,)]


# ---- KILL, RECONNECT, WAIT_CLOSE, SHUTDOWN ----


@pytest.mark.parametrize("sql", ["KILL", "KILL test"])
def test_kill_closes_clients_and_stays_paused(admin, wire, sql):
    pooler, connection = admin
    idle, busy = wire(pooler), wire(pooler)
    idle.startup()
    busy.startup()
    busy.query("BEGIN")
    connection.execute(sql)
    for client in (idle, busy):
        error = client.read_error()
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "57P01", "database removed")
        client.expect_closed()
    assert rows_of(connection, "SHOW SERVERS") == []
    assert [row["paused"] for row in rows_of(connection, "SHOW DATABASES") if row["name"] == "test"] == [1]
    held = later(pooler.query, "SELECT 1")
    assert waits(held)
    connection.execute(sql.replace("KILL", "RESUME"))
    assert held.result(5) == [(1,)]


def test_kill_of_one_database_leaves_the_others(admin):
    pooler, connection = admin
    with pooler.connect("test_session") as client:
        client.execute("SELECT 1")
        connection.execute("KILL test")
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_kill_client_closes_the_one(admin, wire):
    pooler, connection = admin
    victim, other = wire(pooler), wire(pooler)
    victim.startup(application_name="victim")
    other.startup(application_name="other")
    (row,) = [row for row in rows_of(connection, "SHOW CLIENTS") if row["application_name"] == "victim"]
    connection.execute(f"KILL_CLIENT {row['id']}")
    error = victim.read_error()
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "57P01", "admin forced disconnect")
    victim.expect_closed()
    assert other.rows(other.query("SELECT 1")) == [[b"1"]]
    refused(connection, f"KILL_CLIENT {row['id']}", "42704", "client not found")


def test_a_console_may_kill_itself(admin, wire):
    pooler, _ = admin
    console = wire(pooler)
    console.startup(user=ADMIN, database="pgbouncer", application_name="self")
    (row,) = [row for row in pooler.console("SHOW CLIENTS") if row["application_name"] == "self"]
    console.send(b"Q", f"SHOW VERSION; KILL_CLIENT {row['id']}; SHOW VERSION".encode() + b"\0")
    assert console.read_error()["M"] == "admin forced disconnect"
    console.expect_closed()
    assert pooler.console("SHOW VERSION")


@pytest.mark.parametrize("sql", ["RECONNECT", "RECONNECT test"])
def test_reconnect_replaces_servers_when_they_are_released(admin, sql):
    pooler, connection = admin
    with pooler.connect() as client:
        backend = "SELECT pg_backend_pid()"
        before = client.execute(backend).fetchone()
        assert client.execute(backend).fetchone() == before
        client.execute("BEGIN")
        assert client.execute(backend).fetchone() == before
        connection.execute(sql)
        (server,) = rows_of(connection, "SHOW SERVERS")
        assert (server["state"], server["close_needed"]) == ("active", 1)
        assert client.execute(backend).fetchone() == before
        closed = later(connection.execute, "WAIT_CLOSE test")
        assert waits(closed)
        client.execute("COMMIT")
        assert closed.result(5).statusmessage == "WAIT_CLOSE"
        assert client.execute(backend).fetchone() != before


def test_shutdown_for_clients_waits_for_them(pgweir):
    pooler = pgweir(TRANSACTION)
    client = pooler.connect()
    console = pooler.connect("pgbouncer", ADMIN)
    assert console.execute("SHUTDOWN WAIT_FOR_CLIENTS").statusmessage == "SHUTDOWN"
    with pytest.raises(psycopg.OperationalError):
        pooler.connect()
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert pooler.running()
    console.close()
    client.close()
    assert pooler.wait() == 0


def test_shutdown_for_servers_waits_for_the_transaction(pgweir):
    pooler = pgweir(TRANSACTION)
    client = pooler.connect()
    client.execute("BEGIN")
    assert pooler.console("SHUTDOWN WAIT_FOR_SERVERS") == []
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert pooler.running()
    client.execute("COMMIT")
    assert pooler.wait() == 0
    client.close()


def test_shutdown_ends_at_once_without_an_answer(pgweir, wire):
    pooler = pgweir(TRANSACTION)
    console = wire(pooler)
    console.startup(user=ADMIN, database="pgbouncer")
    console.send(b"Q", b"SHUTDOWN\0")
    assert b"C" not in console.kinds(console.read_rest())
    assert pooler.wait() == 0


def test_an_unknown_shutdown_mode_is_refused(admin):
    pooler, connection = admin
    with pytest.raises(psycopg.errors.SyntaxError):
        connection.execute("SHUTDOWN WAIT_FOR_NOTHING")
    assert pooler.running()


# ---- SET, RELOAD ----


def test_set_lasts_until_the_next_reload(admin):
    _, connection = admin
    assert setting(connection, "default_pool_size") == "20"
    connection.execute("SET default_pool_size = 3")
    assert setting(connection, "default_pool_size") == "3"
    assert {row["pool_size"] for row in rows_of(connection, "SHOW DATABASES") if row["name"] == "test"} == {3}
    connection.execute("RELOAD")
    assert setting(connection, "default_pool_size") == "20"


def test_reload_puts_the_new_file_in_force(admin):
    pooler, connection = admin
    pooler.change_config(default_pool_size=4)
    pooler.change_config("databases", another=pooler.sections["databases"]["test"])
    connection.execute("RELOAD")
    assert setting(connection, "default_pool_size") == "4"
    assert pooler.query("SELECT 1", db="another") == [(1,)]


def test_a_broken_file_is_refused_whole_with_its_line(admin):
    pooler, connection = admin
    good = pooler.ini.read_text()
    broken = good.replace("[pgbouncer]\n", "[pgbouncer]\ndefault_pool_size = 4\nmax_client_conn = many\n")
    pooler.write_config(broken)
    error = refused(connection, "RELOAD", "F0000", "RELOAD failed, see logs for additional details")
    assert re.search(r"pgweir\.ini:3\b", error.diag.message_detail)
    assert setting(connection, "default_pool_size") == "20"
    pooler.wait_for_log(r"pgweir\.ini:3\b")
    pooler.ini.write_text(good)
    connection.execute("RELOAD")


# ---- what the SHOWs say ----


def test_clients_servers_and_pools_show_an_open_transaction(pgweir):
    pooler = pgweir(BUSY)
    with pooler.connect(application_name="one") as client, pooler.connect(application_name="two") as waiter, \
            pooler.connect(application_name="three"):
        client.execute("BEGIN")
        (pid,) = client.execute("SELECT pg_backend_pid()").fetchone()
        held = later(lambda: waiter.execute("SELECT 1").fetchone())
        wait_until(lambda: pool_of(pooler)["cl_waiting"] == 1)
        time.sleep(0.1)
        (server,) = pooler.console("SHOW SERVERS")
        clients = {row["application_name"]: row for row in pooler.console("SHOW CLIENTS") if row["database"] == "test"}
        pool = pool_of(pooler)

        assert {name: row["state"] for name, row in clients.items()} == {
            "one": "active", "two": "waiting", "three": "idle"
        }
        one, two = clients["one"], clients["two"]
        assert (one["link"], server["link"]) == (server["ptr"], one["ptr"])
        assert two["link"] == clients["three"]["link"] == ""
        assert (one["type"], one["user"], one["addr"], one["close_needed"]) == ("C", "alice", "127.0.0.1", 0)
        assert (one["local_addr"], one["local_port"], one["replication"]) == ("127.0.0.1", pooler.port, "none")
        assert (one["port"], one["tls"]) == (local_port(client), "")
        assert two["wait"] * 1_000_000 + two["wait_us"] >= 100_000
        assert one["wait"] == one["wait_us"] == 0
        assert (server["type"], server["user"], server["database"], server["state"]) == ("S", "alice", "test", "active")
        assert (server["remote_pid"], server["application_name"], server["wait"]) == (pid, "one", 0)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", one["connect_time"])

        assert (pool["cl_active"], pool["cl_waiting"], pool["sv_active"], pool["sv_idle"]) == (2, 1, 1, 0)
        assert pool["maxwait"] * 1_000_000 + pool["maxwait_us"] >= 100_000
        assert pool["pool_mode"] == "transaction"
        client.execute("COMMIT")
        assert held.result(5) == (1,)
        wait_until(lambda: pool_of(pooler)["sv_idle"] == 1)
        pool = pool_of(pooler)
        assert (pool["cl_active"], pool["cl_waiting"], pool["sv_active"], pool["maxwait_us"]) == (3, 0, 0, 0)


def local_port(connection):
    """The port at our end."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate:
        return duplicate.getsockname()[1]


def test_sockets_have_states_with_prefixes(admin):
    pooler, connection = admin
    with pooler.connect() as client:
        client.execute("BEGIN")
        states = [row["state"] for row in rows_of(connection, "SHOW SOCKETS") if row["database"] == "test"]
        assert sorted(states) == ["cl_active", "sv_active"]
        active = [row["state"] for row in rows_of(connection, "SHOW ACTIVE_SOCKETS") if row["database"] == "test"]
        assert sorted(active) == ["cl_active", "sv_active"]
        client.execute("COMMIT")


def test_databases_count_their_connections(admin):
    pooler, connection = admin
    with pooler.connect() as client, pooler.connect():
        client.execute("SELECT 1")
        (row,) = [row for row in rows_of(connection, "SHOW DATABASES") if row["name"] == "test"]
        assert (row["current_connections"], row["current_client_connections"]) == (1, 2)
        assert (row["database"], row["force_user"], row["pool_size"], row["paused"]) == ("test", None, 20, 0)


def test_statistics_count_queries_and_transactions(admin):
    pooler, connection = admin
    with pooler.connect() as client:
        client.execute("SELECT 1")
        client.execute("BEGIN")
        client.execute("SELECT 1")
        client.execute("COMMIT")
    (row,) = [row for row in rows_of(connection, "SHOW STATS") if row["database"] == "test"]
    counts = [row[f"total_{name}_count"] for name in ("xact", "query", "server_assignment", "client_login")]
    assert counts == [2, 4, 2, 1]


def test_lists_have_their_rows_in_order(admin):
    _, connection = admin
    assert [row["list"] for row in rows_of(connection, "SHOW LISTS")] == [
        "databases", "users", "peers", "pools", "peer_pools", "free_clients", "used_clients", "login_clients",
        "free_servers", "used_servers", "dns_names", "dns_zones", "dns_queries", "dns_pending",
    ]


def test_the_console_is_in_pools_and_databases(admin):
    _, connection = admin
    (pool,) = [row for row in rows_of(connection, "SHOW POOLS") if row["database"] == "pgbouncer"]
    assert (pool["user"], pool["pool_mode"], pool["cl_active"]) == ("pgbouncer", "statement", 1)
    assert "pgbouncer" in [row["name"] for row in rows_of(connection, "SHOW DATABASES")]
