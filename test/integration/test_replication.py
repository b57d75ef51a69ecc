# SPDX-License-Identifier: ISC
"""Replication connections pass one to one on a server of their own: PostgreSQL's own tools, and the protocol by hand."""
import contextlib
import os
import re
import shutil
import struct
import subprocess
from signal import SIGINT, SIGKILL

import pytest

from conftest import (DATABASE, Postgres, ProtocolClosed, Unprivileged, Wire, free_port, password_of, postgres_bin,
                      temporary_directory, wait_until)
from helpers import Background, error_in, grown_kb, pool, refusal, server_row, servers, wait_waiting

# The database that PostgreSQL's tools name for physical replication, whatever they are told.
PHYSICAL = "replication"
ROLES = ("repl", "scram", "plain")


class Primary(Postgres):
    """A PostgreSQL that lets replicate: repl by trust, scram and plain with a SCRAM password."""

    default_hba = [
        "local all all trust",
        "local replication all trust",
        "host all,replication scram,plain 127.0.0.1/32 scram-sha-256",
        "host all all 127.0.0.1/32 trust",
        "host replication all 127.0.0.1/32 trust",
    ]

    def senders(self):
        """Who replicates just now."""
        return self.execute("SELECT pid, application_name, state FROM pg_stat_replication ORDER BY pid")

    def backends(self, user):
        return {r["pid"] for r in self.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", (user,))}


@pytest.fixture(scope="module")
def certificate():
    with temporary_directory("cert") as directory:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-keyout", directory / "server.key", "-out", directory / "server.crt"], check=True,
                       capture_output=True)
        for name in ("server.key", "server.crt"):
            Unprivileged.own(directory / name)
        yield directory


@pytest.fixture(scope="module")
def primary_cluster(certificate):
    with temporary_directory("primary") as directory:
        cluster = Primary(directory, postgres_bin())
        for name in ("server.key", "server.crt"):
            shutil.copy(certificate / name, cluster.data)
            os.chmod(cluster.data / name, 0o600)
            Unprivileged.own(cluster.data / name)
        with open(cluster.data / "postgresql.conf", "a", encoding="ascii") as conf:
            conf.write("ssl = on\nwal_level = logical\nmax_wal_senders = 20\nmax_replication_slots = 20\nwal_keep_size = 32MB\n")
        cluster.start()
        try:
            cluster.execute(f"CREATE DATABASE {DATABASE}", db="postgres")
            for role in ROLES:
                cluster.execute(
                    f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {role} LOGIN REPLICATION PASSWORD"
                    f" '{password_of(role)}'; GRANT ALL ON SCHEMA public TO {role}"
                )
            cluster.execute("CREATE ROLE alice LOGIN; CREATE TABLE t (id int PRIMARY KEY, v text)")
            yield cluster
        finally:
            if cluster.running():
                cluster.stop()


@pytest.fixture
def primary(primary_cluster):
    if not primary_cluster.running():
        primary_cluster.start()
    wait_until(lambda: not primary_cluster.senders(), 20, "no sender of the test before")
    for row in primary_cluster.execute("SELECT slot_name FROM pg_replication_slots"):
        primary_cluster.execute("SELECT pg_drop_replication_slot(%s)", (row["slot_name"],))
    return primary_cluster


def secrets(cluster):
    """auth_file as PostgreSQL stores it: the pooler has no password of scram, only what its login teaches."""
    stored = {r["rolname"]: r["rolpassword"] for r in cluster.execute(
        "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL", db="postgres")}
    return {"admin": password_of("admin"), "alice": "x", "repl": "x", "scram": stored["scram"],
            "plain": password_of("plain")}


@pytest.fixture
def pooler_for(pgweir, primary):
    """Factory of poolers before the primary, in transaction mode, with the databases "test" and "replication"."""
    def factory(config=None, row="", **more):
        return pgweir({"pool_mode": "transaction", **(config or {})},
                      {DATABASE: server_row(primary, row), PHYSICAL: server_row(primary, row)},
                      userlist=secrets(primary), **more)

    return factory


def run_tool(name, pooler, *arguments, user="repl", **more):
    """Run one of PostgreSQL's tools to its end."""
    done = subprocess.run([postgres_bin() / name, "-d", pooler.dsn(user=user, connect_timeout=30, **more), *map(str, arguments)],
                          cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False, **Unprivileged.popen)
    assert done.returncode == 0, f"{name}: {done.stdout}\n{pooler.log()[-3000:]}"
    return done.stdout


@contextlib.contextmanager
def running_tool(name, pooler, *arguments, user="repl", **more):
    process = subprocess.Popen([postgres_bin() / name, "-d", pooler.dsn(user=user, connect_timeout=30, **more),
                                *map(str, arguments)], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               **Unprivileged.popen)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)


@pytest.fixture
def room():
    with temporary_directory("room") as directory:
        yield directory


def fill(primary, rows=20000):
    """A table whose rows are known; answers a sum over them."""
    primary.execute("DROP TABLE IF EXISTS filled")
    primary.execute(f"CREATE TABLE filled AS SELECT i, repeat(md5(i::text), 8) AS v FROM generate_series(1, {rows}) i")
    return checksum(primary)


def checksum(cluster):
    return cluster.execute("SELECT count(*) AS n, md5(string_agg(v, '' ORDER BY i)) AS sum FROM filled")[0]


# ---- PostgreSQL's tools ----


@contextlib.contextmanager
def copy_of(primary, backup):
    """Start the backup as a PostgreSQL of its own."""
    copy = object.__new__(Postgres)
    copy.bin, copy.host, copy.port = primary.bin, primary.host, free_port()
    copy.data, copy.logfile = backup, backup / "copy.log"
    with open(backup / "postgresql.conf", "a", encoding="ascii") as conf:
        conf.write(f"port = {copy.port}\nunix_socket_directories = ''\n")
    copy.start()
    try:
        yield copy
    finally:
        copy.stop()


@pytest.mark.parametrize("way", ["trust", "keys", "plain", "tls"])
def test_pg_basebackup_through_the_pooler(pooler_for, primary, room, way, certificate):
    """Two connections at once: the backup, and the WAL that is streamed beside it. The copy is a working PostgreSQL."""
    wanted = fill(primary)
    user = {"keys": "scram", "plain": "plain", "tls": "scram"}.get(way, "repl")
    config = {"auth_type": "trust" if way == "trust" else "scram-sha-256", "default_pool_size": 2,
              "server_tls_sslmode": "disable"}
    more = {}
    if way == "tls":
        config.update(server_tls_sslmode="require", client_tls_sslmode="allow", client_tls_cert_file=certificate / "server.crt",
                      client_tls_key_file=certificate / "server.key")
        more = {"sslmode": "require", "sslcert": "/nonexistent"}
    pooler = pooler_for(config)
    run_tool("pg_basebackup", pooler, "-D", room / "backup", "-X", "stream", "-c", "fast", "--no-sync", user=user, **more)
    with copy_of(primary, room / "backup") as copy:
        assert checksum(copy) == wanted
    assert ("SSL established: TLSv1.3" in pooler.log()) == (way == "tls")
    tls = "TLSv1.3/" if way == "tls" else "no"
    pooler.wait_for_log(rf"login attempt: db=replication user={user} tls={tls}.*replication=physical")
    wait_until(lambda: not servers(pooler, PHYSICAL), 10, "servers that close with their clients")


def test_a_standby_follows_through_the_pooler(pooler_for, primary, room):
    wanted = fill(primary, 100)
    pooler = pooler_for({"auth_type": "scram-sha-256"})
    run_tool("pg_basebackup", pooler, "-D", room / "backup", "-X", "fetch", "-c", "fast", "--no-sync", "-R", user="scram")
    with copy_of(primary, room / "backup") as standby:
        assert checksum(standby) == wanted
        wait_until(primary.senders, 30, "a sender")
        primary.execute("INSERT INTO filled SELECT i, 'later' FROM generate_series(101, 200) i")
        wait_until(lambda: checksum(standby)["n"] == 200, 30, "what was inserted later")
        assert checksum(standby) == checksum(primary)
        # its connection is lost, and made anew
        primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        primary.execute("DELETE FROM filled WHERE i > 150")
        wait_until(lambda: checksum(standby)["n"] == 150, 30, "what was deleted meanwhile")
        assert [r["replication"] for r in servers(pooler, PHYSICAL)] == ["physical"]


@pytest.mark.parametrize("user", ["repl", "scram"])
def test_pg_receivewal_streams_until_it_is_stopped(pooler_for, primary, room, user):
    pooler = pooler_for({"auth_type": "trust" if user == "repl" else "scram-sha-256"})
    with running_tool("pg_receivewal", pooler, "-D", room, "-s", "1", "--no-sync", user=user) as process:
        sender = wait_until(primary.senders, 30, "a sender")[0]
        assert sender["application_name"] == "pg_receivewal"
        position = primary.execute("SELECT pg_current_wal_lsn() AS p")[0]["p"]
        fill(primary, 5000)
        wait_until(lambda: primary.execute(
            "SELECT write_lsn > %s::pg_lsn AS done FROM pg_stat_replication", (position,))[0]["done"], 30,
            "WAL that is written")
        row = servers(pooler, PHYSICAL)[0]
        assert (row["replication"], row["state"], row["remote_pid"]) == ("physical", "active", sender["pid"])
        client = next(r for r in pooler.console("SHOW CLIENTS") if r["replication"] != "none")
        assert (client["replication"], client["state"], client["link"]) == ("physical", "active", row["ptr"])
        assert client["application_name"] == "pg_receivewal"
        process.send_signal(SIGINT)
        assert process.wait(30) == 0, process.stdout.read()
    assert any(p.suffix == ".partial" for p in room.iterdir())
    wait_until(lambda: not primary.senders() and not servers(pooler, PHYSICAL), 20, "an end at both sides")


def over_tls(certificate):
    """Settings that want TLS on both sides, and the client's half: all must be who they say."""
    config = {"server_tls_sslmode": "verify-ca", "server_tls_ca_file": certificate / "server.crt", "client_tls_sslmode": "require",
              "client_tls_cert_file": certificate / "server.crt", "client_tls_key_file": certificate / "server.key"}
    return config, {"host": "localhost", "sslmode": "verify-full", "sslrootcert": certificate / "server.crt", "sslcert": "/nonexistent"}


@pytest.fixture
def readable(certificate):
    """The certificate where tools that run as another user can read it."""
    certificate.chmod(0o755)
    return certificate


@pytest.mark.parametrize("tool", ["pg_receivewal", "pg_recvlogical"])
def test_streams_over_tls_on_both_sides(pooler_for, primary, room, readable, tool):
    config, more = over_tls(readable)
    pooler = pooler_for({**config, "auth_type": "scram-sha-256"}, start=False)
    pooler.start(wait=False)
    pooler.wait_for_log("process up")
    written = room / "out"
    arguments = ["-D", room, "--no-sync", "-s", "1"]
    if tool == "pg_recvlogical":
        run_tool(tool, pooler, "--slot", "t", "--plugin", "test_decoding", "--create-slot", user="scram", **more)
        arguments = ["--slot", "t", "--start", "-f", written, "-s", "1"]
    primary.execute("TRUNCATE t")
    with running_tool(tool, pooler, *arguments, user="scram", **more) as process:
        sender = wait_until(primary.senders, 30, "a sender")[0]
        assert primary.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = %s", (sender["pid"],)) == [{"ssl": True, "version": "TLSv1.3"}]
        position = primary.execute("SELECT pg_current_wal_lsn() AS p")[0]["p"]
        text = "".join(chr(97 + n % 26) for n in range(300000))  # many records of TLS
        primary.execute("INSERT INTO t VALUES (1, %s)", (text,))
        if tool == "pg_recvlogical":
            wait_until(lambda: written.exists() and written.read_text().count("COMMIT") >= 2, 30, "the changes")
            assert f"INSERT: id[integer]:1 v[text]:'{text}'" in written.read_text()
        else:
            wait_until(lambda: primary.execute("SELECT write_lsn > %s::pg_lsn AS done FROM pg_stat_replication", (position,))[0]["done"],
                       30, "WAL that is written")
        process.send_signal(SIGINT)
        assert process.wait(30) == 0, process.stdout.read()
    assert re.search(r"C-\S+ .*login attempt: db=\S+ user=scram tls=TLSv1\.3/.*replication=(physical|logical)", pooler.log())
    if tool == "pg_recvlogical":
        run_tool(tool, pooler, "--slot", "t", "--drop-slot", user="scram", **more)


@pytest.mark.parametrize("user", ["repl", "scram"])
def test_pg_recvlogical_gets_the_changes(pooler_for, primary, room, user):
    pooler = pooler_for({"auth_type": "trust" if user == "repl" else "scram-sha-256"})
    run_tool("pg_recvlogical", pooler, "--slot", "s", "--plugin", "test_decoding", "--create-slot", user=user)
    primary.execute("TRUNCATE t")
    with running_tool("pg_recvlogical", pooler, "--slot", "s", "--start", "-f", room / "out", "-s", "1", user=user) as process:
        wait_until(primary.senders, 30, "a sender")
        big = "x" * 200000
        primary.execute("INSERT INTO t VALUES (1, 'one'), (2, %s)", (big,))
        out = room / "out"
        wait_until(lambda: out.exists() and out.read_text().count("COMMIT") >= 2, 30, "the changes")
        text = out.read_text()
        assert "table public.t: INSERT: id[integer]:1 v[text]:'one'" in text
        assert f"id[integer]:2 v[text]:'{big}'" in text
        assert servers(pooler)[0]["replication"] == "logical"
        process.send_signal(SIGINT)
        assert process.wait(30) == 0
    run_tool("pg_recvlogical", pooler, "--slot", "s", "--drop-slot", user=user)
    assert primary.execute("SELECT * FROM pg_replication_slots") == []
    assert "replication=logical" in pooler.log()


# ---- by hand ----


def replicate(wire, pooler, kind="true", **parameters):
    """A logged-in replication client of user repl; answers it with the messages of its greeting."""
    client = wire(pooler)
    client.greeting = client.startup(**{"user": "repl", "replication": kind, **parameters})
    return client


def values(client, sql):
    rows = Wire.rows(client.query(sql))
    return [column and column.decode() for column in rows[0]]


@pytest.mark.parametrize("kind,shown", [("true", "physical"), ("on", "physical"), ("yes", "physical"), ("1", "physical"),
                                        ("T", "physical"), ("database", "logical"), ("false", "none"), ("off", "none"),
                                        ("no", "none"), ("0", "none")])
def test_values_of_replication(pooler_for, wire, kind, shown):
    pooler = pooler_for()
    client = replicate(wire, pooler, kind)
    row = next(r for r in pooler.console("SHOW CLIENTS") if r["user"] == "repl")
    assert row["replication"] == shown
    if shown == "none":
        assert values(client, "SELECT 1") == ["1"]
        return
    assert len(values(client, "IDENTIFY_SYSTEM")) == 4
    messages = client.query("SELECT pg_backend_pid()")
    if shown == "physical":
        assert error_in(messages)["C"] == "0A000"  # PostgreSQL's own words: no SQL there
        assert values(client, "SHOW max_wal_senders") == ["20"]
    else:
        assert int(Wire.rows(messages)[0][0]) == servers(pooler)[0]["remote_pid"]


@pytest.mark.parametrize("kind", ["maybe", "Database", "2", "", "o"])
def test_other_values_are_refused_as_by_postgresql(pooler_for, primary, wire, kind):
    wanted = refusal(wire(primary), user="repl", replication=kind)
    got = refusal(wire(pooler_for()), user="repl", replication=kind)
    assert {key: got.get(key) for key in "SVCMH"} == {key: wanted.get(key) for key in "SVCMH"}


def test_all_parameters_and_options_reach_the_server(pooler_for, wire):
    """Also those that an ordinary client is refused for, and instead of what the database's row says."""
    pooler = pooler_for(row="application_name=row timezone=Asia/Tokyo")
    client = replicate(wire, pooler, "database", options="-c statement_timeout=5s -c work_mem=7MB", application_name="mine",
                       extra_float_digits="2", search_path="pg_catalog", client_encoding="LATIN1")
    for name, value in (("statement_timeout", "5s"), ("work_mem", "7MB"), ("application_name", "mine"),
                        ("extra_float_digits", "2"), ("search_path", "pg_catalog"), ("TimeZone", "Asia/Tokyo"),
                        ("client_encoding", "LATIN1")):
        assert values(client, f"SHOW {name}") == [value]
    assert client.parameters["application_name"] == "mine" and client.parameters["client_encoding"] == "LATIN1"
    assert client.parameters["TimeZone"] == "Asia/Tokyo" and client.parameters["server_version"].startswith("1")
    # what the server does not know it refuses itself
    error = refusal(wire(pooler), user="repl", replication="true", no_such_thing="1")
    assert (error["S"], error["C"]) == ("FATAL", "42704")
    error = refusal(wire(pooler), user="repl", replication="true", options="-c work_mem=much")
    assert error["C"] == "22023"
    # and an ordinary client of the same pool is served, with values of its own
    with pooler.connect(user="repl") as ordinary:
        assert ordinary.execute("SHOW statement_timeout").fetchone() == ("0",)
        assert ordinary.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_the_greeting_is_the_servers_own(pooler_for, wire):
    pooler = pooler_for()
    first = replicate(wire, pooler, "database", DateStyle="German")
    second = replicate(wire, pooler, "database", DateStyle="SQL")
    assert first.parameters["DateStyle"].startswith("German") and second.parameters["DateStyle"].startswith("SQL")
    assert Wire.kinds(first.greeting).lstrip(b"R").strip(b"S") == b"KZ"
    assert first.key != second.key


def test_a_server_of_its_own(pooler_for, primary, wire):
    """It is nobody else's, before, meanwhile and afterwards, even when it was left clean."""
    pooler = pooler_for({"default_pool_size": 3})
    with pooler.connect(user="repl") as ordinary:
        shared = ordinary.execute("SELECT pg_backend_pid()").fetchone()[0]
        one, two = replicate(wire, pooler, "database"), replicate(wire, pooler, "database")
        pids = [int(values(c, "SELECT pg_backend_pid()")[0]) for c in (one, two)]
        assert len({shared, *pids}) == 3
        # transactions end and it stays with it
        assert [int(values(one, "SELECT pg_backend_pid()")[0]) for _ in range(3)] == [pids[0]] * 3
        one.query("SET search_path = mine")
        assert values(one, "SHOW search_path") == ["mine"]
        assert {r["remote_pid"]: r["replication"] for r in servers(pooler)} == {
            shared: "none", pids[0]: "logical", pids[1]: "logical"}
        assert (pool(pooler, "repl")["sv_active"], pool(pooler, "repl")["sv_idle"]) == (2, 1)
        one.send(b"X")
        one.expect_closed()
        two.close()
        wait_until(lambda: primary.backends("repl") == {shared}, 10, "servers that end with their clients")
        assert [r["remote_pid"] for r in servers(pooler)] == [shared]
        assert ordinary.execute("SELECT pg_backend_pid()").fetchone()[0] == shared
    assert "closing because: replication client disconnected" in pooler.log()


def test_modes_do_not_matter(pooler_for, wire):
    for mode in ("session", "transaction", "statement"):
        pooler = pooler_for({"pool_mode": mode})
        client = replicate(wire, pooler, "database")
        pid = values(client, "SELECT pg_backend_pid()")
        client.query("BEGIN")
        assert values(client, "SELECT pg_backend_pid()") == pid
        assert client.query("COMMIT")[-1] == (b"Z", b"I")
        assert values(client, "SELECT pg_backend_pid()") == pid


def start_logical(client, slot="s"):
    client.query(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL test_decoding")
    client.send(b"Q", f"START_REPLICATION SLOT {slot} LOGICAL 0/0".encode() + b"\0")
    client.read_until(b"W")


def status_update(position, reply=1):
    """Standby status update: everything is written, answer at once."""
    return Wire.message(b"d", struct.pack("!cQQQqB", b"r", position, position, position, 0, reply))


def conversation(client, primary):
    """START_REPLICATION fails and the connection goes on; streams are ended by CopyDone and others begun. Answers what
    the server said, but for how much it streamed."""
    heard = []

    def hear(messages):
        heard.append(Wire.kinds(messages).replace(b"d", b""))

    hear(client.query("START_REPLICATION SLOT nothing LOGICAL 0/0"))
    hear(client.query("NONSENSE"))
    start_logical(client)
    primary.execute("TRUNCATE t; INSERT INTO t VALUES (7, 'seven')")
    while b"INSERT: id[integer]:7" not in client.read_until(b"d")[-1][1]:
        pass
    client.send_raw(status_update(1))
    while client.read_until(b"d")[-1][1][:1] != b"k":  # keepalive, which was asked for
        pass
    client.send(b"c")
    hear(client.read_until(b"Z"))
    hear(client.query("IDENTIFY_SYSTEM"))
    client.send(b"Q", b"START_REPLICATION SLOT s LOGICAL 0/0\0")
    hear(client.read_until(b"W"))
    client.send_raw(Wire.message(b"c") + Wire.message(b"Q", b"IDENTIFY_SYSTEM\0"))  # without waiting
    hear(client.read_until(b"Z"))
    hear(client.read_until(b"Z"))
    return heard


def test_errors_and_copies_one_after_the_other(pooler_for, primary, wire):
    direct = wire(primary)
    direct.startup(user="repl", replication="database")
    wanted = conversation(direct, primary)
    direct.close()
    assert wanted[0] == wanted[1] == b"EZ" and wanted[2].endswith(b"CCZ") and wanted[-1] == b"TDCZ", wanted
    assert conversation(replicate(wire, pooler_for(), "database"), primary) == wanted


def test_a_cancel_request_stops_the_command(pooler_for, primary, wire):
    pooler = pooler_for()
    client = replicate(wire, pooler, "database")
    client.send(b"Q", b"SELECT pg_sleep(60)\0")
    wait_until(lambda: primary.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60%'"), 10)
    wire(pooler).send_raw(Wire.cancel_packet(client.key))
    assert error_in(client.read_until(b"Z"))["C"] == "57014"
    assert values(client, "SELECT 1") == ["1"]


def test_a_client_that_does_not_read_costs_bounded_memory(pooler_for, primary, wire):
    pooler = pooler_for()
    client = replicate(wire, pooler, "database")
    start_logical(client)
    primary.execute("TRUNCATE t")
    before = pooler.memory_kb()
    for i in range(40):
        primary.execute("INSERT INTO t SELECT %s, repeat(md5(random()::text), 30000)", (i,))
    wait_until(lambda: primary.execute("SELECT write_lag FROM pg_stat_replication"), 10)
    assert grown_kb(pooler, before) < 20000
    seen, size = 0, 0
    while seen < 40:
        body = client.read_until(b"d")[-1][1]
        seen += b"INSERT: id" in body
        size += len(body)
    assert size > 40 * 32 * 30000


# ---- room ----


def test_a_full_pool_makes_it_wait_and_then_says_so(pooler_for, wire):
    pooler = pooler_for({"default_pool_size": 1, "query_wait_timeout": 2})
    holder = replicate(wire, pooler, "database")
    late = wire(pooler)
    late.startup(login=False, user="repl", replication="database")
    wait_waiting(pooler, 1, "repl")
    error = late.read_error()
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "08006", "query_wait_timeout")
    assert error["D"] == "All server connections of the pool are in use."
    late.expect_closed()
    assert values(holder, "SELECT 1") == ["1"]


@pytest.mark.parametrize("bound", ["default_pool_size = 1", "max_db_connections = 1", "max_user_connections = 1"])
def test_room_that_comes_up_is_its(pooler_for, wire, bound):
    name, value = bound.split(" = ")
    pooler = pooler_for({name: value})
    with pooler.connect(user="repl", autocommit=False) as ordinary:
        ordinary.execute("SELECT 1")  # holds the only place
        late = wire(pooler)
        late.startup(login=False, user="repl", replication="database")
        wait_waiting(pooler, 1, "repl")
        ordinary.commit()
        late.read_until(b"Z")
        assert int(values(late, "SELECT pg_backend_pid()")[0]) == servers(pooler)[0]["remote_pid"]
        # and now the ordinary client waits for it to leave
        query = Background(ordinary.execute, "SELECT 42")
        wait_waiting(pooler, 1, "repl")
        late.close()
        assert query.result().fetchone() == (42,)
        ordinary.commit()


def test_an_idle_server_makes_room(pooler_for, wire):
    pooler = pooler_for({"default_pool_size": 1})
    assert pooler.query("SELECT 1", user="repl") == [(1,)]
    assert pool(pooler, "repl")["sv_idle"] == 1
    client = replicate(wire, pooler, "database")
    assert values(client, "SELECT 1") == ["1"]
    assert len(servers(pooler)) == 1


# ---- ends ----


@pytest.mark.parametrize("kind", ["true", "database"])
def test_a_client_that_is_killed_ends_its_server(pooler_for, primary, room, kind):
    pooler = pooler_for()
    if kind == "true":
        tool, arguments = "pg_receivewal", ["-D", room, "--no-sync"]
    else:
        run_tool("pg_recvlogical", pooler, "--slot", "k", "--plugin", "test_decoding", "--create-slot")
        tool, arguments = "pg_recvlogical", ["--slot", "k", "--start", "-f", "/dev/null"]
    with running_tool(tool, pooler, *arguments) as process:
        wait_until(primary.senders, 30, "a sender")
        process.send_signal(SIGKILL)
        db = PHYSICAL if kind == "true" else DATABASE
        wait_until(lambda: not primary.senders() and not servers(pooler, db), 20, "an end at both sides")


def test_a_server_that_ends_ends_its_client(pooler_for, primary, wire):
    pooler = pooler_for()
    client = replicate(wire, pooler, "database")
    pid = int(values(client, "SELECT pg_backend_pid()")[0])
    primary.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert client.read_error()["C"] == "57P01"
    client.expect_closed()


def test_a_shutdown_of_postgresql_in_a_stream(pooler_for, primary, wire):
    """PostgreSQL ends the COPY properly, then the connection: nothing of ours is put behind that."""
    pooler = pooler_for()
    client = replicate(wire, pooler, "true")
    lsn = values(client, "IDENTIFY_SYSTEM")[2]
    client.send(b"Q", f"START_REPLICATION {lsn}".encode() + b"\0")
    client.read_until(b"W")
    stopping = Background(primary.stop, "fast")
    with pytest.raises(ProtocolClosed):
        last = 0
        while True:
            kind, body = client.read_message()
            assert kind in b"dC", (kind, body)
            if kind == b"d" and body[:1] == b"w":
                last = struct.unpack("!Q", body[1:9])[0] + len(body) - 25
            elif kind == b"d":
                last = max(last, struct.unpack("!Q", body[1:9])[0])
            if kind == b"d":
                client.send_raw(status_update(last, 0))
    stopping.result()


def test_the_server_refuses(pooler_for, primary, wire):
    """Its own words reach the client, at once, and nobody else suffers from them."""
    pooler = pooler_for()
    direct = refusal(wire(primary), user="alice", replication="true")
    waiting = pooler.connect(user="alice")
    error = refusal(wire(pooler), user="alice", replication="true")
    assert {k: error.get(k) for k in "SCMD"} == {k: direct.get(k) for k in "SCMD"} and error["C"] == "42501"
    assert waiting.execute("SELECT 1").fetchone() == (1,)
    waiting.close()
    assert pooler.query("SELECT 1", user="alice") == [(1,)]
    with primary.hba("host replication repl 127.0.0.1/32 reject"):
        error = refusal(wire(pooler), user="repl", replication="true")
        assert error["C"] == "28000" and "pg_hba.conf rejects replication connection" in error["M"]
        assert pooler.query("SELECT 1", user="repl") == [(1,)]
        replicate(wire, pooler, "database")
    assert "login failed: db=test user=alice" in pooler.log()


def test_a_login_that_cannot_be_made(pooler_for, wire):
    """The pooler trusts, but has no password that the server would take."""
    pooler = pooler_for({"auth_type": "trust"})
    error = refusal(wire(pooler), user="scram", replication="true")
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "28P01", "login failed")
    assert error["D"].startswith("the server asks for SCRAM-SHA-256")


def test_a_restart_is_ridden_out(pooler_for, primary, wire):
    pooler = pooler_for({"server_login_retry": 1})
    primary.stop("fast")
    client = wire(pooler)
    client.startup(login=False, user="repl", replication="database")
    wait_waiting(pooler, 1, "repl")
    pooler.wait_for_log("cannot use the server: connect to")
    primary.start()
    client.read_until(b"Z")
    assert values(client, "SELECT 1") == ["1"]


def test_a_server_that_is_down_is_the_cause(pooler_for, primary, wire):
    pooler = pooler_for({"query_wait_timeout": 2})
    primary.stop("fast")
    error = refusal(wire(pooler), user="repl", replication="database")
    assert (error["C"], error["M"]) == ("08006", "query_wait_timeout")
    assert "Connection refused" in error["D"]


# ---- who may ----


def test_the_hba_word_replication_is_for_physical_ones(pooler_for, primary, wire):
    with temporary_directory("hba") as directory:
        rules = directory / "hba.conf"
        rules.write_text("host replication repl 127.0.0.1/32 trust\nhost test alice 127.0.0.1/32 trust\n"
                         "host all admin 127.0.0.1/32 trust\n")
        Unprivileged.own(rules)
        pooler = pooler_for({"auth_type": "hba", "auth_hba_file": rules})
        replicate(wire, pooler, "true")
        for user, kind in (("repl", "database"), ("repl", "false"), ("alice", "true")):
            error = refusal(wire(pooler), user=user, replication=kind)
            assert (error["C"], error["M"]) == ("28000", "no authentication method is found")
        assert pooler.query("SELECT 1", user="alice") == [(1,)]


def test_the_console_has_nothing_to_replicate(pooler_for, wire):
    error = refusal(wire(pooler_for()), user="admin", database="pgbouncer", replication="database")
    assert error["C"] == "0A000"


# ---- the console's commands ----


def test_pause_waits_and_resume_lets_in(pooler_for, wire):
    pooler = pooler_for()
    held = replicate(wire, pooler, "database")
    pause = Background(pooler.console, f"PAUSE {DATABASE}")
    wait_until(lambda: [r for r in pooler.console("SHOW DATABASES") if r["name"] == DATABASE][0]["paused"], 10)
    assert values(held, "SELECT 1") == ["1"]  # as in session mode
    late = wire(pooler)
    late.startup(login=False, user="repl", replication="database")
    wait_waiting(pooler, 1, "repl")
    held.close()
    pause.result()
    assert servers(pooler) == []
    pooler.console(f"RESUME {DATABASE}")
    late.read_until(b"Z")
    assert values(late, "SELECT 1") == ["1"]


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("fast", [0, 1])
def test_reconnect(pooler_for, wire, fast, mode):
    pooler = pooler_for({"server_fast_close": fast, "pool_mode": mode})
    client = replicate(wire, pooler, "database")
    pooler.console("RECONNECT")
    assert servers(pooler)[0]["close_needed"] == 1
    pid = servers(pooler)[0]["remote_pid"]
    client.send(b"Q", b"SELECT pg_backend_pid()\0")
    assert int(Wire.rows(client.read_until(b"Z"))[0][0]) == pid
    if fast:
        client.expect_closed()
    else:
        assert values(client, "SELECT pg_backend_pid()") == [str(pid)]


def test_kill_and_kill_client(pooler_for, primary, wire):
    pooler = pooler_for()
    one, two = replicate(wire, pooler, "database"), replicate(wire, pooler, "true")
    number = next(r["id"] for r in pooler.console("SHOW CLIENTS") if r["replication"] == "logical")
    pooler.console(f"KILL_CLIENT {number}")
    assert one.read_error()["C"] == "57P01"
    assert [r["replication"] for r in servers(pooler)] == ["physical"]
    pooler.console(f"KILL {DATABASE}")
    assert two.read_error()["C"] == "57P01"
    assert servers(pooler) == []
    wait_until(lambda: not primary.backends("repl"), 10, "their end at the server")


def test_nothing_that_is_for_idle_servers_touches_it(pooler_for, wire):
    pooler = pooler_for({"server_lifetime": 1, "server_idle_timeout": 1, "server_check_delay": 0, "idle_transaction_timeout": 1,
                         "client_idle_timeout": 1, "query_timeout": 1, "transaction_timeout": 1,
                         "server_reset_query_always": 1, "server_reset_query": "SELECT pg_sleep(60)"})
    client = replicate(wire, pooler, "database")
    pid = values(client, "SELECT pg_backend_pid()")
    stream = replicate(wire, pooler, "database")
    start_logical(stream)
    assert client.quiet(3.5)
    assert values(client, "SELECT pg_backend_pid()") == pid
    stream.send_raw(status_update(1))
    while stream.read_until(b"d")[-1][1][:1] != b"k":
        pass


def test_connect_query_is_for_logical_ones(pooler_for, wire):
    pooler = pooler_for(row="connect_query='SET work_mem = \"9MB\"; SET application_name = connected'")
    client = replicate(wire, pooler, "database")
    assert values(client, "SHOW work_mem") == ["9MB"]
    assert client.parameters["application_name"] == "connected"
    physical = replicate(wire, pooler, "true")
    assert len(values(physical, "IDENTIFY_SYSTEM")) == 4
    assert physical.parameters["application_name"] == ""
