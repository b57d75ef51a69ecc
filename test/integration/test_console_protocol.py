# SPDX-License-Identifier: ISC
"""The console behind test_console.py: its tables cell by cell, the extended protocol by hand, and what waits with what."""
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import psycopg.rows
import pytest
from conftest import ADMIN, DATABASE, Unprivileged, covers, wait_until

TEXT, INT4, INT8, NUMERIC = 25, 23, 20, 1700

CONNECTION = (
    "type user database replication state addr port:4 local_addr local_port:4 connect_time request_time wait:4 wait_us:4"
    " close_needed:4 ptr link remote_pid:4 tls application_name prepared_statements:4 id:4"
)
SOCKET = CONNECTION + " recv_pos:4 pkt_pos:4 pkt_remain:4 send_pos:4 send_remain:4 pkt_avail:4 send_avail:4"
COUNTERS = (
    "server_assignment_count xact_count query_count received sent xact_time query_time wait_time client_parse_count"
    " server_parse_count bind_count client_login_count"
)
SHOWS = {
    "VERSION": "version",
    "CONFIG": "key value default changeable",
    "DATABASES": "name host port:4 database force_user pool_size:4 min_pool_size:4 reserve_pool_size:4 server_lifetime:4"
    " pool_mode load_balance_hosts max_connections:4 current_connections:4 max_client_connections:4"
    " current_client_connections:4 paused:4 disabled:4",
    "POOLS": "database user cl_active:4 cl_waiting:4 cl_active_cancel_req:4 cl_waiting_cancel_req:4 sv_active:4"
    " sv_active_cancel:4 sv_being_canceled:4 sv_idle:4 sv_used:4 sv_tested:4 sv_login:4 maxwait:4 maxwait_us:4 pool_mode"
    " load_balance_hosts",
    "CLIENTS": CONNECTION,
    "SERVERS": CONNECTION,
    "SOCKETS": SOCKET,
    "ACTIVE_SOCKETS": SOCKET,
    "STATS": " ".join(
        ["database"] + [f"total_{name}:n" for name in COUNTERS.split()]
        + [f"avg_{'recv' if name == 'received' else name}:n" for name in COUNTERS.split()]
    ),
    "STATS_TOTALS": "database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n"
    " xact_time:n query_time:n wait_time:n client_parse_count:n server_parse_count:n bind_count:n client_login_count:n",
    "STATS_AVERAGES": "database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n"
    " xact_time:n query_time:n wait_time:n avg_client_parse_count:n avg_server_parse_count:n avg_bind_count:n"
    " avg_client_login_count:n",
    "TOTALS": "name value:n",
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections:4 current_connections:4"
    " max_user_client_connections:4 current_client_connections:4",
    "LISTS": "list items:4",
    "STATE": "key value",
    "MEM": "name size:4 used:4 free:4 memtotal:4",
    "PEERS": "peer_id:4 host port:4 pool_size:4",
    "PEER_POOLS": "peer_id:4 cl_active_cancel_req:4 cl_waiting_cancel_req:4 sv_active_cancel:4 sv_login:4",
    "DNS_HOSTS": "hostname ttl:8 addrs",
    "DNS_ZONES": "zonename serial:8 count:4",
}
TYPES = {"4": INT4, "8": INT8, "n": NUMERIC, "": TEXT}


def columns_of(show):
    return [(name, TYPES[kind]) for name, _, kind in (column.partition(":") for column in SHOWS[show].split())]


@pytest.fixture
def pooler(pgweir):
    return pgweir({"stats_users": "bob", "pool_mode": "transaction", "server_idle_timeout": "60"})


@pytest.fixture
def console(pooler, wire):
    """A raw console connection."""
    return open_console(pooler, wire)


def open_console(pooler, wire, user=ADMIN):
    connection = wire(pooler)
    connection.greeting = connection.startup(user=user, database="pgbouncer")
    return connection


def run(connection, command):
    """A simple query that must succeed; the tag of its CommandComplete."""
    messages = connection.query(command)
    assert connection.kinds(messages)[-2:] == b"CZ", messages
    return messages[-2][1].rstrip(b"\0").decode()


def error_of(connection, command):
    """SQLSTATE, message and detail of a simple query that must fail with one ERROR and leave the session alive."""
    messages = connection.query(command)
    assert connection.kinds(messages) == b"EZ", messages
    fields = connection.fields(messages[0][1])
    assert fields["S"] == fields["V"] == "ERROR"
    return fields["C"], fields["M"], fields.get("D")


def one(rows, **wanted):
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, rows
    return found[0]


def pool_of(pooler, database=DATABASE, user="alice"):
    return one(pooler.console("SHOW POOLS"), database=database, user=user)


def database_of(pooler, name=DATABASE):
    return one(pooler.console("SHOW DATABASES"), name=name)


# ---- the tables ----


@pytest.mark.parametrize("show", SHOWS)
def test_show_has_the_known_columns_by_both_protocols(pooler, show):
    with pooler.connect("pgbouncer", ADMIN) as connection:
        for factory in (psycopg.Cursor, psycopg.ClientCursor):
            for prepare in (False, True):
                cursor = factory(connection)
                cursor.execute(f"SHOW {show}", **({"prepare": prepare} if factory is psycopg.Cursor else {}))
                assert [(column.name, column.type_code) for column in cursor.description] == columns_of(show)
                assert all(len(row) == len(cursor.description) for row in cursor.fetchall())
                assert cursor.statusmessage == "SHOW"


@pytest.mark.parametrize("command", ["show version", "SHOW \"VERSION\"", "  Show\tVersion ;", "select version",
                                     "/* driver */ SHOW version -- really", "SHOW VERSION;;"])
def test_a_command_is_written_in_any_way(pooler, console, command):
    assert console.rows(console.query(command))[0][0].decode().split()[0] == "pgweir"


def test_the_greeting_is_a_postgres_greeting(console):
    assert console.kinds(console.greeting) == b"R" + b"S" * 7 + b"KZ"
    version = console.rows(console.query("SHOW VERSION"))[0][0].decode().split()[1]
    assert console.parameters == {
        "server_version": f"{version}/bouncer", "client_encoding": "UTF8", "server_encoding": "UTF8", "DateStyle": "ISO",
        "TimeZone": "GMT", "standard_conforming_strings": "on", "is_superuser": "on",
    }


# ---- contents ----


def test_databases_shows_what_is_configured_and_in_use(pgweir, postgres):
    where = f"host={postgres.host} port={postgres.port} dbname={DATABASE}"
    pooler = pgweir(
        {"server_lifetime": "1800", "default_pool_size": 7, "max_db_connections": 9},
        databases={"plain": where, "own": f"{where} user=bob pool_size=3 min_pool_size=0 reserve_pool_size=2 pool_mode=statement"
                   " max_db_connections=4 max_db_client_connections=5 server_lifetime=60",
                   "two": f"host={postgres.host},localhost port={postgres.port} load_balance_hosts=disable"},
    )
    with pooler.connect("own") as client:
        client.execute("SELECT 1")
        rows = pooler.console("SHOW DATABASES")
    common = {"host": postgres.host, "port": postgres.port, "database": DATABASE, "paused": 0, "disabled": 0}
    assert one(rows, name="plain") == {
        **common, "name": "plain", "force_user": None, "pool_size": 7, "min_pool_size": 0, "reserve_pool_size": 0,
        "server_lifetime": 1800, "pool_mode": None, "load_balance_hosts": None, "max_connections": 9,
        "current_connections": 0, "max_client_connections": 0, "current_client_connections": 0,
    }
    assert one(rows, name="own") == {
        **common, "name": "own", "force_user": "bob", "pool_size": 3, "min_pool_size": 0, "reserve_pool_size": 2,
        "server_lifetime": 60, "pool_mode": "statement", "load_balance_hosts": None, "max_connections": 4,
        "current_connections": 1, "max_client_connections": 5, "current_client_connections": 1,
    }
    assert one(rows, name="two")["load_balance_hosts"] == "disable"
    console = one(rows, name="pgbouncer")
    assert (console["host"], console["port"], console["force_user"], console["pool_mode"], console["pool_size"],
            console["current_client_connections"]) == (None, pooler.port, "pgbouncer", "statement", 2, 1)


def test_a_waiting_client_and_its_wait_are_shown(pgweir, wire):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1})
    holder, waiter = wire(pooler), wire(pooler)
    for client in (holder, waiter):
        client.startup()
    holder.query("BEGIN")
    waiter.send(b"Q", b"SELECT 1\0")
    wait_until(lambda: pool_of(pooler)["cl_waiting"] == 1)
    time.sleep(1.1)
    assert pool_of(pooler)["maxwait"] >= 1
    waiting = one(pooler.console("SHOW CLIENTS"), state="waiting")
    assert waiting["wait"] >= 1 and 0 <= waiting["wait_us"] < 1000000
    holder.query("COMMIT")
    waiter.read_until(b"Z")
    assert pool_of(pooler)["maxwait"] == 0


def test_a_client_over_the_unix_socket_is_shown_so(pooler):
    with pooler.connect(host=str(pooler.directory)) as client:
        row = one(pooler.console("SHOW CLIENTS"), database=DATABASE)
        assert (row["addr"], row["local_addr"], row["port"]) == ("unix", "unix", pooler.port)
        assert row["remote_pid"] > 1
        client.execute("SELECT 1")


def test_users_are_those_of_the_files_and_those_logged_in(pgweir):
    pooler = pgweir(users={"bob": "pool_mode=session pool_size=12 max_user_connections=3", "dora": "reserve_pool_size=1"})
    with pytest.raises(psycopg.OperationalError):
        pooler.query("SELECT 1", user="mallory", password="x")
    rows = {row["name"]: row for row in pooler.console("SHOW USERS")}
    assert {"admin", "alice", "bob", "dora", "pgbouncer"} <= set(rows)
    assert "mallory" not in rows
    assert rows["bob"] == {
        "name": "bob", "pool_size": "       12", "reserve_pool_size": "", "pool_mode": "session", "max_user_connections": 3,
        "current_connections": 0, "max_user_client_connections": 0, "current_client_connections": 0,
    }
    assert (rows["dora"]["reserve_pool_size"], rows["dora"]["pool_mode"]) == ("        1", None)
    assert rows["admin"]["current_client_connections"] == 1


def test_config_shows_value_and_default_and_what_a_reload_changes(pooler):
    rows = {row["key"]: row for row in pooler.console("SHOW CONFIG")}
    assert rows["pool_mode"] == {"key": "pool_mode", "value": "transaction", "default": "session", "changeable": "yes"}
    assert rows["listen_port"] == {
        "key": "listen_port", "value": str(pooler.port), "default": "6432", "changeable": "no"}
    assert rows["conffile"]["value"] == str(pooler.ini)


def test_stats_count_queries_and_their_bytes(pooler):
    with pooler.connect() as client:
        for _ in range(5):
            client.execute("SELECT 1")
    stats = one(pooler.console("SHOW STATS"), database=DATABASE)
    assert (stats["total_query_count"], stats["total_xact_count"], stats["total_client_login_count"]) == (5, 5, 1)
    assert stats["total_server_assignment_count"] == 5
    assert stats["total_received"] > 0 and stats["total_sent"] > 0
    totals = one(pooler.console("SHOW STATS_TOTALS"), database=DATABASE)
    assert (totals["query_count"], totals["bytes_received"]) == (5, stats["total_received"])
    assert one(pooler.console("SHOW STATS_AVERAGES"), database=DATABASE)
    # Databases that nobody asked for are not there; the console is.
    assert {row["database"] for row in pooler.console("SHOW STATS")} == {DATABASE, "pgbouncer"}
    names = [row["name"] for row in pooler.console("SHOW TOTALS")]
    assert len(names) == 24 and names[0] == "total_server_assignment_count" and names[-1] == "avg_client_login_count"


def test_the_consoles_own_commands_count(console):
    def counted():
        columns = [name for name, _ in columns_of("STATS_TOTALS")]
        row = [row for row in console.rows(console.query("SHOW STATS_TOTALS")) if row[0] == b"pgbouncer"][0]
        return int(row[columns.index("query_count")]), int(row[columns.index("xact_count")])

    before = counted()
    assert console.kinds(console.query(";")) == b"IZ"
    console.query("SHOW VERSION; SHOW STATE")
    assert counted() == (before[0] + 3, before[1] + 3)


def test_peers_are_shown(pgweir):
    pooler = pgweir(sections={"peers": {"3": "host=10.0.0.3 port=7000 pool_size=2"}})
    assert pooler.console("SHOW PEERS") == [{"peer_id": 3, "host": "10.0.0.3", "port": 7000, "pool_size": 2}]


def test_state_tells_a_pause(pooler):
    def state():
        return {row["key"]: row["value"] for row in pooler.console("SHOW STATE")}

    assert state() == {"active": "yes", "paused": "no", "suspended": "no"}
    pooler.console("PAUSE")
    assert state() == {"active": "no", "paused": "yes", "suspended": "no"}


def test_many_databases_are_shown_quickly(pgweir, postgres):
    pooler = pgweir(databases={f"db{i}": f"host={postgres.host} port={postgres.port} dbname={DATABASE} user=alice"
                               for i in range(1000)})
    begin = time.monotonic()
    assert len(pooler.console("SHOW POOLS")) == 1001
    assert len(pooler.console("SHOW DATABASES")) == 1001
    assert time.monotonic() - begin < 2


# ---- who may what ----


def test_an_admin_needs_a_password(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    assert pooler.console("SHOW VERSION")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        pooler.console("SHOW VERSION", password="wrong")


@pytest.mark.parametrize("command, sqlstate, message", [
    ("SHOW POOLS test", "42601", "invalid command 'SHOW POOLS', use SHOW HELP;"),
    ("SHOW POOLS =", "42601", "invalid command 'SHOW POOLS', use SHOW HELP;"),
    ("RELOAD now", "42601", "bad arguments: RELOAD"),
    ("PAUSE test =", "42601", "bad arguments: PAUSE [database]"),
    ("/* ", "42601", "bad arguments: a comment is not closed"),
    ("ENABLE", "42601", "a database is required"),
    *((f"{command} nosuch", "3D000", "no such database: nosuch")
      for command in ("RESUME", "DISABLE", "ENABLE", "RECONNECT", "KILL", "WAIT_CLOSE")),
    ("PAUSE pgbouncer", "0A000", "cannot pause admin db: pgbouncer"),
    ("KILL pgweir", "0A000", "cannot kill admin db: pgweir"),
    ("ENABLE pgweir", "0A000", "cannot enable admin db: pgweir"),
    ("KILL_CLIENT", "22023", "invalid client pointer supplied"),
    ("KILL_CLIENT -1", "22023", "invalid client pointer supplied"),
    ("SET max_client_conn = 0", "22023", "SET failed"),
    ("SET listen_port = 1", "55000", "SET failed"),
])
def test_an_error_is_the_same_by_both_protocols(console, command, sqlstate, message):
    simple = error_of(console, command)
    assert simple[:2] == (sqlstate, message)
    assert (simple[2] is not None) == (message == "SET failed")
    send_parse(console, command)
    send_bind(console)
    send_execute(console)
    error = console.fields(sync(console)[-2][1])
    assert (error["C"], error["M"], error.get("D")) == simple
    assert run(console, "SHOW STATE") == "SHOW"


# ---- the extended protocol, by hand ----


def string(text):
    return text.encode() + b"\0"


def send_parse(connection, text, name="", types=()):
    body = string(name) + string(text) + struct.pack(f"!H{len(types)}I", len(types), *types)
    connection.send(b"P", body)


def send_bind(connection, portal="", name="", formats=(), values=()):
    body = string(portal) + string(name) + struct.pack("!HH", 0, len(values))
    body += b"".join(struct.pack("!I", len(value)) + value for value in values)
    connection.send(b"B", body + struct.pack(f"!H{len(formats)}H", len(formats), *formats))


def send_execute(connection, portal="", limit=0):
    connection.send(b"E", string(portal) + struct.pack("!i", limit))


def sync(connection):
    connection.send(b"S")
    return connection.read_until(b"Z")


def test_the_extended_protocol_step_by_step(console):
    send_parse(console, "SHOW STATE", "s")
    console.send(b"D", b"Ss\0")
    send_bind(console, "p", "s")
    console.send(b"D", b"Pp\0")
    send_execute(console, "p")
    console.send(b"C", b"Pp\0")
    console.send(b"C", b"Ss\0")
    messages = sync(console)
    assert console.kinds(messages) == b"1tT2TDDDC33Z"
    assert messages[1][1] == b"\0\0"
    assert console.rows(messages)[0] == [b"active", b"yes"]


def test_a_statement_without_columns_is_described_so(console):
    send_parse(console, "SET verbose = 0")
    console.send(b"D", b"S\0")
    send_bind(console)
    console.send(b"D", b"P\0")
    send_execute(console)
    assert console.kinds(sync(console)) == b"1tn2nCZ"


def test_rows_come_in_portions(console):
    send_parse(console, "SHOW STATE")
    send_bind(console)
    send_execute(console, limit=2)
    send_execute(console, limit=2)
    send_execute(console)
    assert console.kinds(sync(console)) == b"12DDsDCCZ"


def test_a_command_runs_once_per_bind(console):
    send_parse(console, "SET verbose = 0")
    send_bind(console)
    send_execute(console)
    send_execute(console)
    messages = sync(console)
    assert console.kinds(messages) == b"12CEZ"
    assert console.fields(messages[3][1])["C"] == "55000"


def test_an_empty_statement_is_answered_so(console):
    send_parse(console, " -- ping")
    console.send(b"D", b"S\0")
    send_bind(console)
    send_execute(console)
    assert console.kinds(sync(console)) == b"1tn2IZ"


def test_an_error_skips_to_sync(console):
    send_parse(console, "FROB")
    send_bind(console)
    send_execute(console)
    send_execute(console)
    send_parse(console, "SHOW VERSION")
    console.send(b"Q", b"SHOW VERSION\0")
    console.send(b"H")
    messages = sync(console)
    assert console.kinds(messages) == b"12EZ"
    assert console.kinds(sync(console)) == b"Z"
    assert run(console, "SHOW VERSION") == "SHOW"


def test_portals_end_with_sync_and_statements_do_not(console):
    send_parse(console, "SHOW VERSION", "s")
    send_bind(console, "p", "s")
    sync(console)
    send_execute(console, "p")
    messages = sync(console)
    assert console.fields(messages[0][1])["C"] == "34000"
    send_bind(console, "p", "s")
    send_execute(console, "p")
    assert console.kinds(sync(console)) == b"2DCZ"


@pytest.mark.parametrize("send, sqlstate", [
    (lambda c: send_bind(c, "", "nosuch"), "26000"),
    (lambda c: c.send(b"D", b"Snosuch\0"), "26000"),
    (lambda c: c.send(b"D", b"Pnosuch\0"), "34000"),
    (lambda c: send_execute(c, "nosuch"), "34000"),
    (lambda c: send_parse(c, "SHOW STATE; SHOW STATE"), "42601"),
    (lambda c: send_parse(c, "SHOW 'x"), "42601"),
    (lambda c: send_bind(c, "", "state", values=[b"1"]), "0A000"),
    (lambda c: send_bind(c, "", "stats", formats=[1]), "0A000"),
    (lambda c: send_bind(c, "", "state", formats=[2]), "22023"),
    (lambda c: send_bind(c, "", "state", formats=[0, 0, 0]), "08P01"),
    (lambda c: send_parse(c, "SHOW STATE", "state"), "42P05"),
    (lambda c: c.send(b"P", b"x"), "08P01"),
    (lambda c: c.send(b"P", b"\0SHOW STATE\0\0\5"), "08P01"),
    (lambda c: c.send(b"B", b"\0"), "08P01"),
    (lambda c: c.send(b"B", b"\0state\0\0\0\0\0\0\1"), "08P01"),
    (lambda c: c.send(b"D", b"X\0"), "08P01"),
    (lambda c: c.send(b"E", b"\0\0"), "08P01"),
    (lambda c: c.send(b"C", b"S"), "08P01"),
])
def test_a_wrong_message_is_an_error_and_the_session_lives(console, send, sqlstate):
    send_parse(console, "SHOW STATE", "state")
    send_parse(console, "SHOW STATS", "stats")
    assert console.kinds(sync(console)) == b"11Z"
    send(console)
    messages = sync(console)
    assert console.kinds(messages) == b"EZ"
    assert console.fields(messages[0][1])["C"] == sqlstate
    send_bind(console, "", "state")
    send_execute(console)
    assert console.kinds(sync(console)) == b"2DDDCZ"


def test_a_simple_query_that_is_malformed_or_a_function_call_is_an_error(console):
    console.send(b"Q", b"SHOW STATE")
    assert console.kinds(console.read_until(b"Z")) == b"EZ"
    console.send(b"F", b"\0\0\0\1\0\0\0\0\0\0")
    messages = console.read_until(b"Z")
    assert console.fields(messages[0][1])["C"] == "0A000"
    assert run(console, "SHOW STATE") == "SHOW"


def test_prepared_statements_of_the_console_are_bounded(console):
    for i in range(300):
        send_parse(console, "SHOW STATE", f"s{i}")
    messages = sync(console)
    assert console.kinds(messages) == b"1" * 256 + b"EZ"
    assert console.fields(messages[-2][1])["C"] == "54000"


def test_psycopg_prepares_and_repeats(pooler):
    with pooler.connect("pgbouncer", ADMIN) as connection:
        for _ in range(3):
            assert len(connection.execute("SHOW STATE", prepare=True).fetchall()) == 3
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="takes no parameters"):
            connection.execute("SHOW %s", ("STATE",))
        with connection.pipeline():
            cursors = [connection.execute("SHOW VERSION") for _ in range(5)]
        assert {cursor.fetchone()[0].split()[0] for cursor in cursors} == {"pgweir"}


def test_messages_may_come_in_pieces_and_at_once(console):
    bytes_of = console.message(b"Q", b"SHOW VERSION\0") * 3
    for i in range(len(bytes_of)):
        console.send_raw(bytes_of[i:i + 1])
    for _ in range(3):
        assert console.kinds(console.read_until(b"Z")) == b"TDCZ"


def test_an_unknown_message_closes_the_console(console):
    console.send_raw(b"\x7f\0\0\0\4")
    assert console.read_error()["S"] == "FATAL"
    console.expect_closed()


# ---- PAUSE, RESUME ----


def waiting(console):
    """The console has not answered yet."""
    return console.quiet(0.3)


def test_pause_of_a_database_leaves_the_others(pooler, console):
    assert run(console, "pause test") == "PAUSE"
    assert pooler.query("SELECT 1", db="test_transaction") == [(1,)]
    assert error_of(console, "PAUSE test")[0] == "55000"
    assert run(console, "RESUME test") == "RESUME"
    assert pooler.query("SELECT 1") == [(1,)]
    assert "PAUSE 'test' command issued" in pooler.log()


def test_pause_waits_for_sessions_in_session_mode(pooler, console, wire):
    client = wire(pooler)
    client.startup(database="test_session")
    client.query("SELECT 1")
    console.send(b"Q", b"PAUSE\0")
    assert waiting(console)
    client.send(b"X")
    assert console.kinds(console.read_until(b"Z")) == b"CZ"


def test_pause_waits_by_the_extended_protocol_too(pooler, console, wire):
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    send_parse(console, "PAUSE")
    send_bind(console)
    send_execute(console)
    console.send(b"S")
    assert console.kinds(console.read_until(b"2")) == b"12"
    assert waiting(console)
    client.query("COMMIT")
    assert console.kinds(console.read_until(b"Z")) == b"CZ"


def test_what_follows_a_pause_waits_behind_it(pooler, console, wire):
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    console.send(b"Q", b"SHOW VERSION; PAUSE; RESUME; SHOW VERSION\0")
    console.send(b"Q", b"SHOW STATE\0")
    assert console.kinds(console.read_until(b"C")) == b"TDC"
    assert waiting(console)
    client.query("COMMIT")
    messages = console.read_until(b"Z")
    assert console.kinds(messages) == b"CCTDCZ"
    assert [body for kind, body in messages if kind == b"C"] == [b"PAUSE\0", b"RESUME\0", b"SHOW\0"]
    assert console.kinds(console.read_until(b"Z")) == b"TDDDCZ"


def test_a_pause_that_was_answered_outlives_its_console(pooler, wire):
    console = open_console(pooler, wire)
    assert run(console, "PAUSE") == "PAUSE"
    console.send(b"X")
    console.expect_closed()
    assert one(pooler.console("SHOW STATE"), key="paused")["value"] == "yes"


def test_a_cancelled_extended_pause_skips_to_sync(pooler, console, wire):
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    send_parse(console, "PAUSE")
    send_bind(console)
    send_execute(console)
    send_execute(console)
    console.send(b"S")
    console.read_until(b"2")
    assert waiting(console)
    wire(pooler).send_raw(console.cancel_packet(console.key))
    assert console.kinds(console.read_until(b"Z")) == b"EZ"
    assert run(console, "SHOW STATE") == "SHOW"


def test_two_consoles_wait_and_one_kills_the_other(pooler, wire):
    first, second = open_console(pooler, wire), open_console(pooler, wire)
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    second_id = max(row["id"] for row in pooler.console("SHOW CLIENTS") if row["port"] == second.socket.getsockname()[1])
    first.send(b"Q", string(f"PAUSE test; KILL_CLIENT {second_id}; SHOW VERSION"))
    assert waiting(first)
    second.send(b"Q", b"PAUSE\0")
    assert waiting(second)
    client.query("COMMIT")
    assert first.kinds(first.read_until(b"Z")) == b"CCTDCZ"
    # The second may have been answered before; then it is closed.
    kinds = second.kinds(second.read_rest())
    assert kinds in (b"E", b"CZE")
    assert pooler.running()


def test_pause_survives_a_server_restart(pooler, postgres, console):
    with pooler.connect() as client:
        client.execute("SELECT 1")
        assert run(console, "PAUSE") == "PAUSE"
        postgres.restart()
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(lambda: client.execute("SELECT 1").fetchall())
            wait_until(lambda: pool_of(pooler)["cl_waiting"] == 1)
            assert run(console, "RESUME") == "RESUME"
            assert answer.result(10) == [(1,)]


# ---- KILL and kin ----


def test_kill_of_all_is_resumed_database_by_database_too(pooler, console):
    assert run(console, "KILL") == "KILL"
    assert run(console, "RESUME test") == "RESUME"
    assert pooler.query("SELECT 1") == [(1,)]
    assert database_of(pooler, "test_session")["paused"] == 1
    assert run(console, "RESUME") == "RESUME"
    assert pooler.query("SELECT 1", db="test_session") == [(1,)]
    assert error_of(console, "RESUME")[0] == "55000"


def test_reconnect_replaces_servers_and_wait_close_waits_for_that(pooler, console, wire):
    busy = wire(pooler)
    busy.startup()
    with pooler.connect(db="test_transaction") as resting:
        old_rest = resting.execute("SELECT pg_backend_pid()").fetchone()
        busy.query("BEGIN")
        old = busy.rows(busy.query("SELECT pg_backend_pid()"))
        assert run(console, "RECONNECT") == "RECONNECT"
        assert resting.execute("SELECT pg_backend_pid()").fetchone() != old_rest
        assert one(pooler.console("SHOW SERVERS"), database=DATABASE)["close_needed"] == 1
        assert run(console, "WAIT_CLOSE test_transaction") == "WAIT_CLOSE"
        console.send(b"Q", b"WAIT_CLOSE\0")
        assert waiting(console)
        busy.query("COMMIT")
        assert console.kinds(console.read_until(b"Z")) == b"CZ"
        assert busy.rows(busy.query("SELECT pg_backend_pid()")) != old
    # It is over: a later PAUSE waits as ever.
    busy.query("BEGIN")
    console.send(b"Q", b"PAUSE\0")
    assert waiting(console)
    busy.query("COMMIT")
    messages = console.read_until(b"Z")
    assert messages[0][1] == b"PAUSE\0"


def test_reconnect_of_a_database_leaves_the_others(pooler, console):
    with pooler.connect() as mine, pooler.connect(db="test_transaction") as other:
        before = [client.execute("SELECT pg_backend_pid()").fetchone() for client in (mine, other)]
        assert run(console, "RECONNECT test") == "RECONNECT"
        after = [client.execute("SELECT pg_backend_pid()").fetchone() for client in (mine, other)]
    assert before[0] != after[0] and before[1] == after[1]


def test_a_wait_close_that_is_cancelled_changes_nothing(pooler, console, wire):
    busy = wire(pooler)
    busy.startup()
    busy.query("BEGIN")
    run(console, "RECONNECT")
    console.send(b"Q", b"WAIT_CLOSE\0")
    assert waiting(console)
    wire(pooler).send_raw(console.cancel_packet(console.key))
    assert console.kinds(console.read_until(b"Z")) == b"EZ"
    assert one(pooler.console("SHOW SERVERS"), database=DATABASE)["close_needed"] == 1


def test_a_database_of_the_star_row_can_be_disabled_before_anybody_asked_for_it(pgweir, postgres, wire):
    pooler = pgweir(databases={"*": f"host={postgres.host} port={postgres.port}"})
    console = open_console(pooler, wire)
    assert run(console, f"DISABLE {DATABASE}") == "DISABLE"
    assert database_of(pooler)["disabled"] == 1
    with pytest.raises(psycopg.OperationalError, match="is disabled"):
        pooler.connect()
    assert run(console, f"ENABLE {DATABASE}") == "ENABLE"
    assert pooler.query("SELECT 1") == [(1,)]


# ---- SET, RELOAD ----


def config_of(pooler, key):
    return one(pooler.console("SHOW CONFIG"), key=key)["value"]


def test_set_acts_on_pools_at_once(pooler, console):
    with pooler.connect() as client:
        client.execute("SELECT 1")
        run(console, "SET pool_mode = session")
        assert pool_of(pooler)["pool_mode"] == "session"
        run(console, "SET server_reset_query = 'SELECT ''it works'''")
        assert config_of(pooler, "server_reset_query") == "SELECT 'it works'"


def test_reload_takes_new_databases_users_and_values(pooler, postgres, console):
    pooler.change_config("databases", more=f"host={postgres.host} port={postgres.port} dbname={DATABASE}", test_session=None)
    pooler.change_config(default_pool_size=3)
    pooler.write_userlist({"zoe": "secret", "admin": "x", "alice": "x"})
    with pooler.connect(db="test_session") as gone, pooler.connect() as stays:
        gone.execute("SELECT 1")
        backend = stays.execute("SELECT pg_backend_pid()").fetchone()
        assert run(console, "RELOAD") == "RELOAD"
        with pytest.raises(psycopg.OperationalError, match="database removed"):
            gone.execute("SELECT 1")
        assert stays.execute("SELECT pg_backend_pid()").fetchone() == backend
    assert pooler.query("SELECT 1", db="more") == [(1,)]
    assert database_of(pooler)["pool_size"] == 3
    assert "zoe" in {row["name"] for row in pooler.console("SHOW USERS")}
    assert "RELOAD command issued" in pooler.log()


def test_a_paused_database_stays_paused_over_a_reload(pooler, console):
    run(console, "PAUSE test")
    run(console, "DISABLE test_session")
    run(console, "RELOAD")
    assert database_of(pooler)["paused"] == 1
    assert database_of(pooler, "test_session")["disabled"] == 1


@covers("conffile")
def test_conffile_leads_to_another_file(pooler, console):
    other = pooler.directory / "other.ini"
    other.write_text(pooler.ini.read_text().replace("[pgbouncer]", "[pgbouncer]\nquery_wait_timeout = 9"))
    Unprivileged.own(other)
    run(console, f"SET conffile = '{other}'")
    run(console, "RELOAD")
    assert config_of(pooler, "query_wait_timeout") == "9"
    run(console, "RELOAD")
    assert (config_of(pooler, "query_wait_timeout"), config_of(pooler, "conffile")) == ("9", str(other))


# ---- SHUTDOWN ----


def test_shutdown_at_once_ends_one_that_waits(pooler, console, wire):
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    assert run(console, "SHUTDOWN WAIT_FOR_CLIENTS") == "SHUTDOWN"
    console.send(b"Q", b"SHUTDOWN\0")
    assert pooler.wait() == 0
