# SPDX-License-Identifier: ISC
"""Settings that no other test has for its subject, one by one: where we listen, how sockets are tuned, what is logged, limits
of clients, rows of [databases]."""
import contextlib
import ctypes
import grp
import os
import pathlib
import pwd
import re
import socket
import stat
import struct

import psycopg
import pytest
from conftest import DATABASE, Unprivileged, Wire, covers, free_port, password_of, wait_until
from helpers import Background, backend, refusal, server_row, servers, setting
from test_limits import clients, elapsed, held

TRANSACTION = {"pool_mode": "transaction"}

# ---- the sockets of a process ----

PIDFD_GETFD = 438


def sockets_of(pooler):
    """Duplicates of all TCP sockets of the process, to ask for their options."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pooler.pid)
    found = []
    try:
        for entry in pathlib.Path(f"/proc/{pooler.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if not os.readlink(entry).startswith("socket:"):
                    continue
                descriptor = libc.syscall(PIDFD_GETFD, handle, int(entry.name), 0)
                if descriptor < 0:
                    pytest.skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
                duplicate = socket.socket(fileno=descriptor)
                if duplicate.family == socket.AF_INET:
                    found.append(duplicate)
                else:
                    duplicate.close()
    finally:
        os.close(handle)
    return found


def options_of(pooler, pick, level, name):
    """The values of a socket option of those that pick chooses."""
    values = set()
    for each in sockets_of(pooler):
        with each:
            if pick(each):
                values.add(each.getsockopt(level, name))
    return values


def listens(each):
    return each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def is_accepted(pooler):
    return lambda each: not listens(each) and each.getsockname()[1] == pooler.port


def is_server(postgres):
    def check(each):
        with contextlib.suppress(OSError):
            return not listens(each) and each.getpeername()[1] == postgres.port
        return False
    return check


TUNED = [
    ("tcp_keepalive", 0, 1, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0, 1),
    ("tcp_keepidle", "2min", 33, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120, 33),
    ("tcp_keepintvl", 7, "8s", socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 7, 8),
    ("tcp_keepcnt", 5, 6, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5, 6),
    ("tcp_user_timeout", "30s", 1234, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30000, 1234),
    ("tcp_socket_buffer", 10000, "16kB", socket.SOL_SOCKET, socket.SO_SNDBUF, 20000, 32768),  # the kernel doubles it
]


@covers("tcp_keepalive", "tcp_keepidle", "tcp_keepintvl", "tcp_keepcnt", "tcp_user_timeout", "tcp_socket_buffer")
@pytest.mark.parametrize("name,first,then,level,option,seen,seen_then", TUNED, ids=[row[0] for row in TUNED])
def test_sockets_are_tuned_towards_clients_and_servers(pgweir, postgres, name, first, then, level, option, seen, seen_then):
    pooler = pgweir({name: first})
    with pooler.connect() as connection:
        backend(connection)
        assert options_of(pooler, is_accepted(pooler), level, option) == {seen}
        assert options_of(pooler, is_server(postgres), level, option) == {seen}
    pooler.change_config(**{name: then})
    pooler.reload()
    pooler.console("RECONNECT")
    wait_until(lambda: servers(pooler) == [])
    with pooler.connect() as connection:
        backend(connection)
        wait_until(lambda: options_of(pooler, is_accepted(pooler), level, option) == {seen_then}, 5, f"{name} after a reload")
        assert options_of(pooler, is_server(postgres), level, option) == {seen_then}


@covers("listen_backlog", "tcp_defer_accept", "so_reuseport")
def test_listening_sockets_are_tuned(pgweir):
    def backlog(each):
        info = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return struct.unpack_from("=I", info, 28)[0]  # tcpi_sacked: the backlog of a listening socket

    pooler = pgweir({"listen_backlog": 17, "tcp_defer_accept": 40})
    found = [each for each in sockets_of(pooler) if listens(each)]
    assert [backlog(each) for each in found] == [17]
    assert options_of(pooler, listens, socket.SOL_SOCKET, socket.SO_REUSEPORT) == {0}
    (deferred,) = options_of(pooler, listens, socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)
    assert 20 <= deferred <= 160  # the kernel counts in retransmissions
    pooler.console("SET tcp_defer_accept = 0")
    assert options_of(pooler, listens, socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) == {0}
    # Two processes on one port.
    first = pgweir({"so_reuseport": 1})
    second = pgweir({"so_reuseport": 1, "listen_port": first.port})
    second.wait_for_log("process up")  # what let us in may have been the first
    seen = {pooler.query("SHOW STATE", "pgbouncer", "admin")[0] for pooler in (first, second)}
    assert seen == {("active", "yes")}
    third = pgweir({"listen_port": first.port}, start=False).start(wait=False)
    assert third.wait() == 1
    third.expected_exit = 1
    for each in found:
        each.close()


# ---- where we listen ----


@covers("listen_addr", "listen_port")
def test_we_listen_where_told_and_nowhere_else(pgweir):
    pooler = pgweir({"listen_addr": "127.0.0.2, 127.0.0.3"}, start=False)
    pooler.host = "127.0.0.2"
    pooler.start()
    assert pooler.query("SELECT 1") == pooler.query("SELECT 1", host="127.0.0.3") == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="refused"):
        pooler.connect(host="127.0.0.1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        pooler.connect(port=free_port())


@covers("unix_socket_dir", "unix_socket_mode", "unix_socket_group")
def test_the_unix_socket_has_place_mode_and_group(pgweir):
    own = pwd.getpwnam(Unprivileged.name).pw_gid
    pooler = pgweir({"unix_socket_mode": "0750", "unix_socket_group": grp.getgrgid(own).gr_name})
    status = os.stat(pooler.directory / f".s.PGSQL.{pooler.port}")
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o750 and status.st_gid == own
    assert pooler.query("SELECT 1", host=str(pooler.directory)) == [(1,)]
    abstract = pgweir({"unix_socket_dir": f"@pgweir-{os.getpid()}"})
    with Wire(f"\0pgweir-{os.getpid()}/.s.PGSQL.{abstract.port}") as connection:
        connection.startup()
        assert connection.rows(connection.query("SELECT 'abstract'")) == [[b"abstract"]]
    unknown = pgweir({"unix_socket_group": "no-such-group"}, start=False).start(wait=False)
    assert unknown.wait() == 1
    unknown.expected_exit = 1
    assert "no-such-group" in unknown.log()


# ---- the log ----


@covers("log_connections", "log_disconnections", "log_pooler_errors")
def test_what_is_logged_of_connections(pgweir):
    """Each kind of line is there, and is there no more when its setting is 0."""
    lines = {"log_connections": r"test/alice@\S+ (login attempt|new connection to server)",
             "log_disconnections": r"test/alice@\S+ closing because", "log_pooler_errors": r"WARNING .*pooler error: no such database: none"}

    def seen(pooler, since):
        with pooler.connect() as connection:
            backend(connection)
        with pytest.raises(psycopg.OperationalError):
            pooler.connect("none")
        pooler.console("RECONNECT")
        wait_until(lambda: servers(pooler) == [] and len(pooler.console("SHOW CLIENTS")) == 1)
        return {name: len(re.findall(line, pooler.log()[since:])) for name, line in lines.items()}

    pooler = pgweir()
    assert seen(pooler, 0) == {"log_connections": 2, "log_disconnections": 2, "log_pooler_errors": 1}
    for name in lines:
        pooler.change_config(**{other: int(other != name) for other in lines})
        pooler.reload()
        counts = seen(pooler, len(pooler.log()))
        assert counts[name] == 0 and all(count for other, count in counts.items() if other != name), (name, counts)


@covers("log_stats", "stats_period")
def test_averages_are_logged_each_stats_period(pgweir):
    pooler = pgweir({"stats_period": 3600})
    pooler.query("SELECT 1")
    assert " LOG stats: " not in pooler.log()
    pooler.change_config(stats_period="1s")
    pooler.reload()  # not only when an hour is over
    wait_until(lambda: pooler.log().count(" LOG stats: ") >= 2, 6, "two lines of averages")
    pooler.change_config(stats_period="1s", log_stats=0)
    pooler.reload()
    count = pooler.log().count(" LOG stats: ")
    before = pooler.console("SHOW STATS_AVERAGES")
    pooler.query("SELECT 1")
    wait_until(lambda: pooler.console("SHOW STATS_AVERAGES") != before, 6, "averages of another period")
    assert pooler.log().count(" LOG stats: ") == count


@covers("syslog", "syslog_facility", "syslog_ident")
@pytest.mark.skipif(os.geteuid() != 0 or os.path.exists("/dev/log"), reason="stands in for the system's log, as root where there is none")
def test_syslog_gets_lines_with_facility_and_name(pgweir):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind("/dev/log")
        try:
            os.chmod("/dev/log", 0o666)
            syslog.settimeout(10)
            pooler = pgweir({"syslog": 1, "syslog_facility": "local3", "syslog_ident": "weir-test"})

            def next_line(part):
                while True:
                    line = syslog.recv(8192).decode()
                    if part in line:
                        return line

            local3, info = 19, 6
            assert re.match(rf"<{local3 * 8 + info}>.* weir-test(\[{pooler.pid}\])?: .*process up", next_line("process up"))
            pooler.change_config(syslog=1, syslog_facility="user", syslog_ident="other")
            pooler.reload()
            pooler.query("SELECT 1")
            assert re.match(rf"<{1 * 8 + info}>.* other\[{pooler.pid}\]: ", next_line("other"))
            pooler.change_config(syslog=0)
            pooler.reload()
            syslog.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while syslog.recv(8192):
                    pass
            pooler.query("SELECT 1")
            with pytest.raises(BlockingIOError):
                syslog.recv(8192)
        finally:
            os.unlink("/dev/log")


# ---- limits of clients ----


@covers("max_db_client_connections", scope=("global", "database"))
@covers("max_user_client_connections", scope=("global", "user"))
@pytest.mark.parametrize("name,scope", [("max_db_client_connections", "global"), ("max_db_client_connections", "database"),
                                        ("max_user_client_connections", "global"), ("max_user_client_connections", "user")])
def test_clients_beyond_a_limit_are_refused(pgweir, postgres, wire, name, scope):
    pooler = pgweir({name: 2} if scope == "global" else {}, users={"alice": f"{name}=2"} if scope == "user" else {},
                    databases={DATABASE: server_row(postgres, f"{name}=2" if scope == "database" else ""), "other": server_row(postgres)})
    with clients(pooler, 2):
        error = refusal(wire(pooler))
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "53300", f"client connections exceeded ({name})")
        # Whom it does not concern is let in.
        free = {"db": "other"} if "db" in name else {"user": "bob"}
        assert pooler.query("SELECT 1", **free) == [(1,)]
    wait_until(lambda: len(pooler.console("SHOW CLIENTS")) == 1)
    assert pooler.query("SELECT 1") == [(1,)]


@covers("reserve_pool_size", scope=("database", "user"))
@pytest.mark.parametrize("database,user", [("reserve_pool_size=1", ""), ("reserve_pool=1", ""), ("", "reserve_pool_size=1"),
                                           ("reserve_pool_size=0", "reserve_pool_size=1")])
def test_the_reserve_of_a_row(pgweir, postgres, database, user):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1, "reserve_pool_timeout": "100ms", "query_wait_timeout": 2},
                    databases={DATABASE: server_row(postgres, database)}, users={"alice": user})
    with held(pooler, 1), clients(pooler, 2) as (waits, more):
        waits.execute("BEGIN")
        with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
            more.execute("SELECT 1")


@covers("max_server_logins")
def test_logins_at_a_time_are_bounded(pgweir, postgres):
    pooler = pgweir({**TRANSACTION, "max_server_logins": 2, "default_pool_size": 5})
    with clients(pooler, 5) as all_of_them:
        postgres.execute("ALTER SYSTEM SET pre_auth_delay = 1")
        postgres.execute("SELECT pg_reload_conf()")
        try:
            wait_until(lambda: elapsed(lambda: postgres.execute("SELECT 1")) > 0.9, 10, "slow logins")
            jobs = [Background(client.execute, "SELECT pg_sleep(2)") for client in all_of_them]
            most = 0
            while any(job.is_alive() for job in jobs):
                most = max(most, sum(row["sv_login"] for row in pooler.console("SHOW POOLS")))
            for job in jobs:
                job.result()
        finally:
            postgres.execute("ALTER SYSTEM RESET pre_auth_delay")
            postgres.execute("SELECT pg_reload_conf()")
        assert most == 2


# ---- rows of [databases] ----


@covers("host", "port", "dbname", scope="database")
def test_a_database_lives_at_its_host_and_port(pgweir, postgres):
    other = free_port()
    pooler = pgweir({"query_wait_timeout": 1}, databases={
        "tcp": f"host=127.0.0.1 port={postgres.port} dbname={DATABASE}", "name": f"host=localhost port={postgres.port} dbname=postgres",
        "unix": f"host={postgres.socket_dir} port={postgres.port} dbname={DATABASE}", "nowhere": f"host=127.0.0.1 port={other} dbname={DATABASE}"})
    where = "SELECT current_database()::text, host(inet_server_addr()), inet_server_port()"
    assert pooler.query(where, "tcp") == [(DATABASE, "127.0.0.1", postgres.port)]
    assert pooler.query(where, "name") == [("postgres", "127.0.0.1", postgres.port)]
    assert pooler.query(where, "unix") == [(DATABASE, None, None)]
    with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
        pooler.connect("nowhere")


@covers("load_balance_hosts", scope="database")
def test_hosts_are_taken_in_turn_or_not(pgweir, postgres):
    hosts = f"host=127.0.0.1,{postgres.socket_dir} port={postgres.port} dbname={DATABASE}"
    pooler = pgweir(databases={"turns": hosts, "stays": f"{hosts} load_balance_hosts=disable"})
    counts = {}
    for name in ("turns", "stays"):
        with clients(pooler, 6, name) as six:
            counts[name] = sum(each.execute("SELECT inet_server_addr() IS NULL").fetchone()[0] for each in six)
    assert counts["turns"] == 3 and counts["stays"] in (0, 6)


@covers("connect_query", scope="database")
def test_connect_query_runs_once_after_a_server_login(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={DATABASE: server_row(
        postgres, "pool_size=1 connect_query='SELECT set_config(''weir.logins'', coalesce(nullif(current_setting(''weir.logins'', true), ''''),"
        " ''0'')::int + 1 || '''', false)'"), "wrong": server_row(postgres, "connect_query='SELECT nonsense'")})
    for _ in range(3):
        assert pooler.query("SELECT current_setting('weir.logins')") == [("1",)]
    assert pooler.query("SELECT 1", "wrong") == [(1,)]


@covers("user", "password", scope="database")
def test_a_row_s_user_logs_in_with_its_password(pgweir, postgres):
    pooler = pgweir({"query_wait_timeout": 2}, userlist={"admin": password_of("admin"), "alice": "x"},
                    databases={"right": server_row(postgres, f"user=scram password='{password_of('scram')}'"),
                               "wrong": server_row(postgres, "user=scram password=wrong")})
    assert pooler.query("SELECT current_user", "right") == [("scram",)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pooler.connect("wrong")


@covers("server_lifetime", scope="database")
def test_the_lifetime_of_a_row(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={"brief": server_row(postgres, "server_lifetime=0 pool_size=1"),
                                            "long": server_row(postgres, "pool_size=1")})
    with pooler.connect("brief") as brief, pooler.connect("long") as long:
        assert len({backend(brief) for _ in range(3)}) == 3 and len({backend(long) for _ in range(3)}) == 1


def resting(pooler, database, **more):
    """The servers of a database that rest, by their states, once a query has used one."""
    assert pooler.query("SELECT 1", database, **more) == [(1,)]
    return lambda: sorted(row["state"] for row in pooler.console("SHOW SERVERS") if row["database"] == database)


@covers("server_idle_timeout", scope="database")
def test_the_idle_timeout_of_a_row(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={"brief": server_row(postgres, "server_idle_timeout=1"), "long": server_row(postgres)})
    brief, long = resting(pooler, "brief"), resting(pooler, "long")
    wait_until(lambda: not brief(), 4, "the end of the idle server")
    assert long() == ["idle"]


@covers("server_idle_timeout", scope="user")
def test_the_idle_timeout_of_a_user_goes_before_the_database_s(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={"brief": server_row(postgres, "server_idle_timeout=100"), "long": server_row(postgres)},
                    users={"alice": "server_idle_timeout=1"})
    brief, long = resting(pooler, "brief"), resting(pooler, "long", user="bob")
    wait_until(lambda: not brief(), 4, "the end of the idle server")
    assert long() == ["idle"]


@covers("server_check_delay", scope="database")
def test_the_check_delay_of_a_row(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={"soon": server_row(postgres, "server_check_delay=1"), "late": server_row(postgres)})
    soon, late = resting(pooler, "soon"), resting(pooler, "late")
    wait_until(lambda: soon() == ["used"], 4, "a server to be tested")
    assert late() == ["idle"]


@covers("server_check_delay", scope="user")
def test_the_check_delay_of_a_user(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={"soon": server_row(postgres), "late": server_row(postgres)},
                    users={"alice": "server_check_delay=1"})
    soon, late = resting(pooler, "soon"), resting(pooler, "late", user="bob")
    wait_until(lambda: soon() == ["used"], 4, "a server to be tested")
    assert late() == ["idle"]


@covers("server_lifetime", scope="user")
def test_the_lifetime_of_a_user(pgweir):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1}, users={"alice": "server_lifetime=0"})
    with pooler.connect() as brief, pooler.connect(user="bob") as long:
        assert len({backend(brief) for _ in range(3)}) == 3 and len({backend(long) for _ in range(3)}) == 1


def given_up(pgweir, row="", **more):
    """A server that takes the connection and says nothing is given up long before the global limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pooler = pgweir({"server_connect_timeout": 100, "query_wait_timeout": 4},
                        databases={"silent": f"host=127.0.0.1 port={silent.getsockname()[1]} {row}"}, **more)
        job = Background(pooler.connect, "silent")
        pooler.wait_for_log("closing because: connect timeout", 4)
        with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
            job.result()


@covers("server_connect_timeout", scope="database")
def test_the_connect_timeout_of_a_row(pgweir):
    given_up(pgweir, "server_connect_timeout=1")


@covers("server_connect_timeout", scope="user")
def test_the_connect_timeout_of_a_user(pgweir):
    given_up(pgweir, users={"alice": "server_connect_timeout=1"})


def told(pooler):
    """What a client is told that waits until it is told something."""
    notices = []
    with pooler.connect() as holder, pooler.connect() as client:
        client.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        holder.execute("BEGIN")
        job = Background(client.execute, "SELECT 1")
        wait_until(lambda: notices, 4, "a notice")
        holder.execute("COMMIT")
        job.result()
    return notices


QUEUED = ["No server connection available in postgres backend, client being queued"]
ONE_SILENT = {**TRANSACTION, "default_pool_size": 1, "query_wait_notify": 0}


@covers("query_wait_notify", scope="database")
def test_the_notice_of_a_row(pgweir, postgres):
    assert told(pgweir(ONE_SILENT, databases={DATABASE: server_row(postgres, "query_wait_notify=1")})) == QUEUED


@covers("query_wait_notify", scope="user")
def test_the_notice_of_a_user(pgweir):
    assert told(pgweir(ONE_SILENT, users={"alice": "query_wait_notify=1"})) == QUEUED


@covers("client_login_timeout", scope="database")
@covers("client_login_timeout", scope="user")
@pytest.mark.parametrize("database,user", [("client_login_timeout=1", ""), ("client_login_timeout=50", "client_login_timeout=1")])
def test_who_says_its_names_has_the_login_timeout_of_their_rows(pgweir, postgres, wire, database, user):
    pooler = pgweir({"auth_type": "scram-sha-256", "client_login_timeout": 60},
                    databases={DATABASE: server_row(postgres, database)}, users={"alice": user} if user else {})
    silent, asked = wire(pooler), wire(pooler)
    asked.startup(login=False)
    assert asked.read_message()[0] == b"R"
    assert asked.read_error()["M"] == "client_login_timeout"
    assert silent.quiet()


@covers("server_login_retry", scope="database")
@covers("server_login_retry", scope="user")
@pytest.mark.parametrize("database,user", [("server_login_retry=1", ""), ("server_login_retry=200", "server_login_retry=1")])
def test_a_server_is_tried_again_as_its_row_says(pgweir, wire, database, user):
    pooler = pgweir({"server_login_retry": 300}, databases={DATABASE: f"host=127.0.0.1 port={free_port()} {database}"},
                    users={"alice": user} if user else {})
    wire(pooler).startup(login=False)
    wait_until(lambda: pooler.log().count("closing because: connect failed") == 3, 6, "the third attempt")


# ---- authentication ----


@covers("auth_dbname", scope="database")
def test_auth_dbname_of_a_row(pgweir, postgres):
    """Where auth_query runs shows in the secret that it answers."""
    common = "auth_user=bob auth_query='SELECT $1::text, current_database()::text'"
    pooler = pgweir({"auth_type": "plain"}, userlist={"admin": password_of("admin"), "bob": password_of("bob")},
                    databases={"here": server_row(postgres, common), "there": server_row(postgres, f"{common} auth_dbname=asked"),
                               "asked": server_row(postgres, dbname="postgres")})
    assert pooler.query("SELECT 1", "here", "carol", DATABASE) == pooler.query("SELECT 1", "there", "carol", "postgres") == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pooler.connect("there", "carol", DATABASE)


@covers("auth_group_query")
def test_auth_group_query_says_who_is_a_member(pgweir, postgres):
    pooler = pgweir(start=False)
    (pooler.directory / "hba.conf").write_text("host all admin all trust\nhost all bob all trust\nhost all +team all trust\n")
    pooler.change_config(auth_type="hba", auth_hba_file="hba.conf", auth_user="bob",
                         auth_group_query="SELECT $1::text, $2::text WHERE $1 = 'carol' AND $2 = 'team'")
    pooler.start()
    assert pooler.query("SELECT current_user", user="carol") == [("carol",)]
    with pytest.raises(psycopg.OperationalError, match="no authentication method is found"):
        pooler.connect(user="alice")


@covers("scram_iterations")
def test_scram_iterations_are_told_to_clients(pgweir, wire):
    pooler = pgweir({"auth_type": "scram-sha-256", "scram_iterations": 5000})

    def iterations():
        client = wire(pooler)
        client.startup(login=False)
        assert client.read_message()[1][:4] == struct.pack("!I", 10)
        first = b"n,,n=,r=abcdefgh"
        client.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        return int(re.search(rb",i=(\d+)$", client.read_message()[1])[1])

    assert iterations() == 5000
    pooler.console("SET scram_iterations = 4100")
    assert iterations() == 4100
    assert pooler.query("SELECT 1") == [(1,)] and setting(pooler, "scram_iterations") == "4100"


# ---- what clients see of themselves ----


@covers("application_name_add_host")
@pytest.mark.parametrize("given,shown", [("tool", "tool"), ("", "app")])
def test_application_name_add_host_tells_servers_where_a_client_is(pgweir, given, shown):
    pooler = pgweir({"application_name_add_host": 1, "pool_mode": "transaction"})
    with pooler.connect(application_name=given) as connection:
        name = connection.execute("SELECT current_setting('application_name')").fetchone()[0]
        row = next(r for r in pooler.console("SHOW CLIENTS") if r["database"] == DATABASE)
        assert name == f"{shown} - 127.0.0.1:{row['port']}" == row["application_name"]
        connection.execute("SET application_name = 'its own'")
        assert connection.execute("SELECT current_setting('application_name')").fetchone() == ("its own",)


@covers("login_notify_message")
def test_login_notify_message_greets_each_client(pgweir, wire):
    pooler = pgweir({"login_notify_message": "be kind, it's old"})
    for _ in range(2):  # the first one waits for the pool's server
        client = wire(pooler)
        messages = client.startup()
        notices = [client.fields(body) for kind, body in messages if kind == b"N"]
        assert [(n["S"], n["C"], n["M"]) for n in notices] == [("NOTICE", "00000", "be kind, it's old")]
        assert client.kinds(messages).endswith(b"Z")
    pooler.change_config(login_notify_message="")
    pooler.reload()
    client = wire(pooler)
    assert b"N" not in client.kinds(client.startup())


@covers("disable_pqexec")
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_disable_pqexec_refuses_the_simple_protocol(pgweir, wire, mode):
    pooler = pgweir({"disable_pqexec": 1, "pool_mode": mode})
    client = wire(pooler)
    client.startup()
    for kind, body in ((b"P", b"\0SELECT 7\0\0\0"), (b"B", b"\0\0" + bytes(6)), (b"E", bytes(5)), (b"S", b"")):
        client.send(kind, body)
    assert client.rows(client.read_until(b"Z")) == [[b"7"]]
    client.send(b"Q", b"SELECT 1\0")
    error = client.read_error()
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "0A000", "PQexec disallowed")
    client.expect_closed()
    assert pooler.console("SHOW VERSION")  # the console is asked as ever


@covers("track_extra_parameters")
def test_track_extra_parameters_follow_their_client(pgweir):
    names = "default_transaction_read_only, IntervalStyle"
    pooler = pgweir({"track_extra_parameters": names, "pool_mode": "transaction", "default_pool_size": 1})
    show = "SELECT current_setting('default_transaction_read_only'), current_setting('IntervalStyle')"
    with pooler.connect() as a, pooler.connect() as b:
        a.execute("SET default_transaction_read_only = on")
        b.execute("SET IntervalStyle = iso_8601")
        for _ in range(3):
            assert a.execute(show).fetchone() == ("on", "postgres")
            assert b.execute(show).fetchone() == ("off", "iso_8601")


def test_without_track_extra_parameters_the_rest_is_shared(pgweir):
    pooler = pgweir({"track_extra_parameters": "", "pool_mode": "transaction", "default_pool_size": 1})
    with pooler.connect() as a, pooler.connect() as b:
        a.execute("SET IntervalStyle = iso_8601")
        assert b.execute("SELECT current_setting('IntervalStyle')").fetchone() == ("iso_8601",)
