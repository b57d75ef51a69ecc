# SPDX-License-Identifier: ISC
"""Settings that act at once when they are changed, by RELOAD and by SET: a probe answers one thing before the change, another
after it, and the first again when it is taken back. (Limits of time of clients that are there: test_timeouts.py; of servers:
test_limits.py.)"""
import contextlib
import re

import psycopg
import pytest
from conftest import ADMIN, DATABASE, Wire, free_port, wait_until
from helpers import backend, change, query, server_row, setting, wait_idle, wait_waiting
from test_timeouts import reset

ONE_SERVER = {"pool_mode": "transaction", "default_pool_size": 1}


def sequence(postgres, name):
    postgres.execute(f"DROP SEQUENCE IF EXISTS {name}; CREATE SEQUENCE {name}; GRANT ALL ON SEQUENCE {name} TO PUBLIC")


def drawn(postgres, name):
    """How often nextval() was called."""
    return postgres.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS n FROM {name}")[0]["n"]


# ---- probes: (pooler, postgres), answers what is compared ----


def clients_let_in(pooler, postgres):
    with contextlib.ExitStack() as stack:
        for count in range(4):
            try:
                stack.enter_context(pooler.connect())
            except psycopg.OperationalError as error:
                assert "no more connections allowed (max_client_conn)" in str(error)
                break
        else:
            count = 4
    wait_until(lambda: len(pooler.console("SHOW CLIENTS")) == 1, what="clients that are gone")
    return count


def queued(pooler):
    return sum(row["cl_waiting"] for row in pooler.console("SHOW POOLS"))


def clients_in_the_queue(pooler, postgres):
    with pooler.connect() as holder, contextlib.ExitStack() as stack:
        holder.execute("BEGIN")
        waiting = [stack.enter_context(Wire(pooler)) for _ in range(3)]
        for client in waiting:
            client.startup()
        for count, client in enumerate(waiting, 1):
            client.send_raw(query("SELECT 1"))
            wait_until(lambda: queued(pooler) == count or not client.quiet(0.01), what="a place in the queue, or a refusal")
            if queued(pooler) < count:
                assert client.read_error()["M"] == "too many clients wait for a server (max_waiting_clients)"
                return count - 1
    return 3


def keeps_its_server(pooler, postgres):
    with pooler.connect() as client:
        return backend(client) == backend(client)


def is_checked(pooler, postgres):
    with pooler.connect() as client:
        backend(client)  # what was to be checked when the setting changed still is
        before = drawn(postgres, "checks")
        backend(client)
    return drawn(postgres, "checks") > before


def is_reset(pooler, postgres):
    before = drawn(postgres, "resets")
    with pooler.connect("test_session") as client:
        backend(client)
    wait_idle(pooler)
    return drawn(postgres, "resets") > before


def errors_logged(pooler, postgres):
    since = len(pooler.log())
    with pytest.raises(psycopg.OperationalError, match="no such database: none"):
        pooler.connect("none")
    wait_until(lambda: "closing because: no such database: none" in pooler.log()[since:], what="the end of it in the log")
    return pooler.log()[since:].count("pooler error: no such database: none")


def fate_of_an_abandoned_query(pooler, postgres):
    since = len(pooler.log())
    client = Wire(pooler)
    client.startup()
    client.send_raw(query("SELECT pg_sleep(60), 'abandoned'"))
    running = "FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%''abandoned''%' AND pid <> pg_backend_pid()"
    wait_until(lambda: postgres.execute(f"SELECT pid {running}"), what="a query that runs")
    reset(client)
    line = wait_until(lambda: re.search("client disconnected with query in progress(, canceling it)?", pooler.log()[since:]), what="its end")
    postgres.execute(f"SELECT pg_terminate_backend(pid) {running}")
    return "cancelled" if line[1] else "left alone"


def told_by_a_database_that_is_down(pooler, postgres):
    with Wire(pooler) as client:
        client.startup(login=False, database="down")
        return client.read_error()["M"]


def greeting(pooler, postgres):
    with Wire(pooler) as client:
        return [client.fields(body)["M"] for kind, body in client.startup() if kind == b"N"]


def login_with_a_parameter(pooler, postgres):
    with Wire(pooler) as client:
        client.startup(login=False, extra_float_digits="3")
        while (message := client.read_message())[0] not in (b"Z", b"E"):
            pass
        return "let in" if message[0] == b"Z" else client.fields(message[1])["M"]


def rights_of_bob(pooler, postgres):
    try:
        pooler.console("SHOW VERSION", user="bob")
    except psycopg.OperationalError:
        return "none"
    try:
        pooler.console("RESUME test", user="bob")
    except psycopg.Error as refused:
        return "stats" if "admin access needed" in str(refused) else "admin"
    return "admin"


def longest_query_served(pooler, postgres):
    lengths = 2000, 20_000
    for served, length in zip((0, *lengths), lengths):
        with Wire(pooler) as client:
            client.startup()
            client.send_raw(query("SELECT '" + "x" * length + "'"))
            if client.read_message()[0] == b"E":
                return served
            client.read_until(b"Z")
    return lengths[-1]


def name_at_the_server(pooler, postgres):
    with pooler.connect(application_name="tool") as client:
        name = client.execute("SELECT current_setting('application_name')").fetchone()[0]
    return re.sub(r":\d+$", ":PORT", name)


def end_of_a_query_that_waits(pooler, postgres):
    """Served when the holder is done, or told that it waited too long: whichever comes first."""
    with pooler.connect() as holder, Wire(pooler) as client:
        holder.execute("BEGIN")
        client.startup()
        client.send_raw(query("SELECT 1"))
        if setting(pooler, "query_wait_timeout") == "3600":
            wait_waiting(pooler)
            holder.execute("COMMIT")
            return client.kinds(client.read_until(b"Z"))
        return client.read_error()["M"]


def has_a_server(pooler):
    """A query that must wait for a new server may run out of time while it does."""
    try:
        with pooler.connect() as client:
            client.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def end_of_a_query_that_takes_long(pooler, postgres):
    wait_until(lambda: has_a_server(pooler), what="a server at rest")
    with pooler.connect() as client:
        try:
            client.execute("SELECT pg_sleep(60)")
        except psycopg.Error as error:
            return re.search("query timeout|canceling statement due to user request", str(error))[0], client.closed
    return None


# Name, the first value, the other; what the probe answers with each; what else is in the file.
ROWS = [
    ("max_client_conn", 100, 2, clients_let_in, 4, 2, {}),
    ("max_waiting_clients", 0, 1, clients_in_the_queue, 3, 1, ONE_SERVER),
    ("server_lifetime", 3600, 0, keeps_its_server, True, False, ONE_SERVER),
    ("server_check_delay", "30s", 0, is_checked, False, True, {**ONE_SERVER, "server_check_query": "SELECT nextval('checks')"}),
    ("server_reset_query", "DISCARD ALL", "SELECT nextval('resets')", is_reset, False, True, {"default_pool_size": 1}),
    ("log_pooler_errors", 1, 0, errors_logged, 1, 0, {}),
    ("cancel_on_disconnect", 1, 0, fate_of_an_abandoned_query, "cancelled", "left alone", ONE_SERVER),
    ("server_unreachable_timeout", 0, "50ms", told_by_a_database_that_is_down, "query_wait_timeout",
     "no server can be reached (server_unreachable_timeout)", {"query_wait_timeout": "500ms", "server_login_retry": "50ms"}),
    ("login_notify_message", "", "it's new", greeting, [], ["it's new"], {}),
    ("ignore_startup_parameters", "", "extra_float_digits", login_with_a_parameter,
     "unsupported startup parameter: extra_float_digits", "let in", {"startup_parameters": "refuse"}),
    ("admin_users", ADMIN, f"{ADMIN}, bob", rights_of_bob, "none", "admin", {}),
    ("stats_users", "", "carol, bob", rights_of_bob, "none", "stats", {}),
    ("max_packet_size", 100_000, 10_000, longest_query_served, 20_000, 2000, ONE_SERVER),
    ("application_name_add_host", 0, 1, name_at_the_server, "tool", "tool - 127.0.0.1:PORT", ONE_SERVER),
    ("query_wait_timeout", "1h", "100ms", end_of_a_query_that_waits, b"TDCZ", "query_wait_timeout", ONE_SERVER),
    ("query_timeout_action", "close", "cancel", end_of_a_query_that_takes_long, ("query timeout", True),
     ("canceling statement due to user request", False), {**ONE_SERVER, "query_timeout": "100ms"}),
]


@pytest.mark.parametrize("how", ["RELOAD", "SET"])
@pytest.mark.parametrize("name,first,other,probe,with_first,with_other,more", ROWS, ids=[row[0] for row in ROWS])
def test_a_setting_acts_at_once(pgweir, postgres, how, name, first, other, probe, with_first, with_other, more):
    for each in ("checks", "resets"):
        sequence(postgres, each)
    row = server_row(postgres)
    pooler = pgweir({**more, name: first}, databases={DATABASE: row, "test_session": f"{row} pool_mode=session",
                                                      "down": f"host=127.0.0.1 port={free_port()}"})
    assert probe(pooler, postgres) == with_first
    for value, wanted in ((other, with_other), (first, with_first)):
        change(pooler, how, **{name: value})
        assert probe(pooler, postgres) == wanted
