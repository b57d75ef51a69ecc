# SPDX-License-Identifier: ISC
"""RELOAD and SIGHUP: under load without one error, all or nothing, databases that come, go and change."""
import re
import threading
from signal import SIGHUP

import psycopg
import pytest
from conftest import DATABASE, Unprivileged, covers, password_of, wait_until
from helpers import (Background, backend, grown_kb, pgbench_start, pgbench_tables, pgbench_transactions, pool, query, server_row, servers, setting,
                     wait_waiting)


def hup(pooler):
    """SIGHUP, and wait until it was acted upon."""
    before = pooler.log().count("got SIGHUP, re-reading config")
    pooler.signal(SIGHUP)
    wait_until(lambda: pooler.log().count("got SIGHUP, re-reading config") > before)
    pooler.console("SHOW VERSION")  # it has been read by now: the file may change again


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_fifty_reloads_under_load_lose_no_query(pgweir, postgres, mode):
    pgbench_tables(postgres)
    pooler = pgweir({"default_pool_size": 4, "pool_mode": mode, "verbose": 0})
    bench = pgbench_start(pooler, "-c", 4 if mode == "session" else 12, "-T", 6)
    for n in range(50):
        pooler.change_config(default_pool_size=4 + n % 5, server_idle_timeout=600 + n, query_wait_timeout=100 + n % 3,
                             log_disconnections=n % 2, server_round_robin=n % 2, max_client_conn=100 + n,
                             reserve_pool_size=n % 3, min_pool_size=n % 4)
        if n % 2:
            hup(pooler)
        else:
            pooler.reload()
        assert bench.poll() is None
    wait_until(lambda: setting(pooler, "default_pool_size") == "8", 5, "the last reload")
    assert pgbench_transactions(bench) > 100


def test_reloads_that_exchange_the_servers_lose_no_query(pgweir, postgres):
    """Each reload changes how the database is reached, so every server is replaced when its transaction ends."""
    pgbench_tables(postgres)
    rows = [server_row(postgres), f"host=localhost port={postgres.port} dbname={DATABASE}",
            f"host={postgres.socket_dir} port={postgres.port} dbname={DATABASE}", server_row(postgres, "connect_query='SELECT 1'")]
    pooler = pgweir({"default_pool_size": 4, "pool_mode": "transaction"}, databases={DATABASE: rows[0]})
    bench = pgbench_start(pooler, "-c", 12, "-T", 5)
    changes = 0
    while bench.poll() is None and changes < 40:
        changes += 1
        pooler.change_config("databases", **{DATABASE: rows[changes % len(rows)]})
        pooler.reload()
    assert pgbench_transactions(bench) > 100
    assert "closing because: database configuration changed" in pooler.log() and changes > 10


def test_settings_act_after_reload_and_removed_ones_return_to_the_default(pgweir):
    pooler = pgweir({"default_pool_size": 7, "query_wait_timeout": 33})
    pooler.change_config(default_pool_size=9, query_wait_timeout=None)
    assert setting(pooler, "default_pool_size") == "7"
    hup(pooler)
    wait_until(lambda: setting(pooler, "default_pool_size") == "9")
    assert setting(pooler, "query_wait_timeout") == "120"


# ---- what is broken changes nothing ----


@pytest.mark.parametrize("broken,complaint", [
    ("[pgbouncer]\nno_such_setting = 1\n", "no_such_setting"),
    ("[pgbouncer]\nserver_lifetime = never\n", "server_lifetime"),
    ("[pgbouncer]\ndefault_pool_size = -5\n", "default_pool_size"),
    ("[databases]\nbroken = host=127.0.0.1 port=many\n", "port"),
    ("[databases]\nbroken = hots=127.0.0.1\n", "hots"),
    ("[users]\nalice = pool_mode=sometimes\n", "pool_mode"),
    ("[nonsense]\n", "nonsense"),
    ("[databases\n", None),
    ("%include no-such-file.ini\n", "no-such-file.ini"),
    ("[pgbouncer]\nauth_file = no-such-file\n", "no-such-file"),
], ids=range(10))
def test_a_broken_file_changes_nothing_and_is_named_with_its_line(pgweir, postgres, broken, complaint):
    pooler = pgweir({"default_pool_size": 7})
    with pooler.connect() as stays:
        pid = backend(stays)
        good = pooler.ini.read_text()
        # The first half of the file has new values, the end is broken: none of it may count.
        changed = good.replace("default_pool_size = 7", "default_pool_size = 9\nmax_client_conn = 50")
        changed = changed.replace("[databases]", "[databases]\nadded = " + server_row(postgres))
        changed = re.sub(r"test_statement = .*\n", "", changed)
        pooler.ini.write_text(changed + broken)
        pooler.write_userlist({**pooler.users, "newcomer": "x"})
        before = pooler.console("SHOW CONFIG"), pooler.console("SHOW DATABASES"), pooler.console("SHOW USERS")
        with pytest.raises(psycopg.Error) as refused:
            pooler.reload()
        assert refused.value.sqlstate == "F0000"
        told = " ".join(filter(None, (refused.value.diag.message_primary, refused.value.diag.message_detail)))
        line = 1 + changed.count("\n") + broken.count("\n") - 1
        if "auth_file" not in broken:
            assert f"pgweir.ini:{line}" in told, told
        if complaint:
            assert complaint in told
        after = pooler.console("SHOW CONFIG"), pooler.console("SHOW DATABASES"), pooler.console("SHOW USERS")
        assert after == before
        assert backend(stays) == pid
        assert pooler.query("SELECT 1", "test_statement") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match='"trust" authentication failed'):
            pooler.connect(user="newcomer")
        # And the mended file is taken whole.
        pooler.ini.write_text(changed)
        pooler.reload()
        assert setting(pooler, "default_pool_size") == "9" and setting(pooler, "max_client_conn") == "50"
        assert pooler.query("SELECT 1", "added") == [(1,)]


def test_a_broken_file_is_named_in_the_log_at_sighup(pgweir):
    pooler = pgweir({"default_pool_size": 7})
    pooler.ini.write_text(pooler.ini.read_text().replace("= 7", "= 8") + "nonsense\n")
    pooler.signal(SIGHUP)
    pooler.wait_for_log(rf"(ERROR|WARNING) .*pgweir\.ini:{len(pooler.ini.read_text().splitlines())}\b")
    assert setting(pooler, "default_pool_size") == "7"


def test_a_broken_auth_file_changes_nothing(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    good = pooler.userlist.read_text()
    pooler.userlist.write_text(good + '"bob" "unterminated\n')
    with pytest.raises(psycopg.Error) as refused:
        pooler.reload()
    assert re.search(r"userlist\.txt:\d+", str(refused.value.diag.message_primary) + str(refused.value.diag.message_detail))
    assert pooler.query("SELECT current_user", user="bob") == [("bob",)]


@pytest.mark.parametrize("name,broken,complaint", [
    ("hba.conf", "host all all 127.0.0.1/99 trust", "127.0.0.1/99"), ("hba.conf", "host all all 127.0.0.1/32 rejekt", "rejekt"),
    ("ident.conf", "map one", "map"), ("ident.conf", "map /( two", "("),
])
def test_broken_rules_and_maps_change_nothing_and_are_named_with_their_line(pgweir, name, broken, complaint):
    """Neither the good lines before it count, nor the settings beside it; and the mended file is taken whole."""
    pooler = pgweir({"auth_type": "hba", "auth_hba_file": "hba.conf", "auth_ident_file": "ident.conf", "default_pool_size": 7}, start=False)
    good = {"hba.conf": "host all all 127.0.0.1/32 trust\n", "ident.conf": "map root alice\n"}
    changed = {"hba.conf": "host all bob 127.0.0.1/32 reject\n" + good["hba.conf"], "ident.conf": "map root carol\nmap root bob\n"}

    def write(files):
        for each, text in files.items():
            (pooler.directory / each).write_text(text)
            Unprivileged.own(pooler.directory / each)

    write(good)
    pooler.start()
    before = pooler.console("SHOW HBA"), pooler.console("SHOW CONFIG")
    write({**changed, name: changed[name] + broken + "\n"})
    pooler.change_config(default_pool_size=9)
    place = rf"{re.escape(name)}:{changed[name].count(chr(10)) + 1}\b.*{re.escape(complaint)}"
    with pytest.raises(psycopg.Error) as refused:
        pooler.reload()
    assert refused.value.sqlstate == "F0000"
    assert re.search(place, f"{refused.value.diag.message_primary} {refused.value.diag.message_detail}")
    logged = len(re.findall(place, pooler.log()))
    assert logged
    pooler.signal(SIGHUP)
    wait_until(lambda: len(re.findall(place, pooler.log())) > logged, what="the same at SIGHUP")
    assert (pooler.console("SHOW HBA"), pooler.console("SHOW CONFIG")) == before
    assert pooler.query("SELECT 1", user="bob") == [(1,)]
    write(changed)
    pooler.reload()
    with pytest.raises(psycopg.OperationalError, match="login rejected"):
        pooler.connect(user="bob")
    assert setting(pooler, "default_pool_size") == "9"


def test_a_file_that_is_gone_changes_nothing(pgweir):
    pooler = pgweir({"default_pool_size": 7})
    pooler.ini.rename(pooler.directory / "elsewhere")
    with pytest.raises(psycopg.Error):
        pooler.reload()
    assert setting(pooler, "default_pool_size") == "7" and pooler.query("SELECT 1") == [(1,)]


# ---- databases ----


def test_a_removed_database_closes_its_clients_and_servers(pgweir, postgres, wire):
    pooler = pgweir(databases={DATABASE: server_row(postgres), "going": server_row(postgres, "pool_size=1")})
    idle, active, waiting = (wire(pooler) for _ in range(3))
    for client in (idle, active):
        client.startup(database="going", options="-c application_name=removed")
    pooler.change_config("databases", going=server_row(postgres, "pool_size=1 pool_mode=transaction"))
    pooler.reload()
    active.close()
    idle.close()
    idle, active, waiting = (wire(pooler) for _ in range(3))
    for client in (idle, active, waiting):
        client.startup(database="going", application_name="removed")
    active.query("BEGIN")
    waiting.send_raw(query("SELECT 1"))
    wait_waiting(pooler, 1, db="going")
    with pooler.connect() as other:
        pooler.change_config("databases", going=None)
        pooler.reload()
        for client in (idle, active, waiting):
            error = client.read_error()
            assert (error["S"], error["M"]) == ("FATAL", "database removed")
            client.expect_closed()
        assert other.execute("SELECT 1").fetchone() == (1,)
    wait_until(lambda: servers(pooler, "going") == [])
    wait_until(lambda: postgres.execute("SELECT 1 AS one FROM pg_stat_activity WHERE application_name = 'removed'") == [])
    with pytest.raises(psycopg.OperationalError, match="no such database: going"):
        pooler.connect("going")
    assert "going" not in {r["name"] for r in pooler.console("SHOW DATABASES")}


def test_an_added_database_works_and_a_removed_one_may_come_back(pgweir, postgres):
    pooler = pgweir()
    for _ in range(3):
        with pytest.raises(psycopg.OperationalError, match="no such database: added"):
            pooler.connect("added")
        pooler.change_config("databases", added=server_row(postgres))
        pooler.reload()
        assert pooler.query("SELECT current_database()", "added") == [(DATABASE,)]
        pooler.change_config("databases", added=None)
        pooler.reload()


@covers("dbname", scope="database")
def test_a_database_that_changed_gets_new_servers_when_the_old_are_free(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: server_row(postgres)})
    with pooler.connect() as busy, pooler.connect() as idle:
        busy.execute("BEGIN")
        pid = backend(busy)
        pooler.change_config("databases", **{DATABASE: server_row(postgres, dbname="postgres")})
        pooler.reload()
        assert busy.execute("SELECT current_database(), pg_backend_pid()").fetchone() == (DATABASE, pid)
        assert idle.execute("SELECT current_database()").fetchone() == ("postgres",)
        busy.execute("COMMIT")
        assert busy.execute("SELECT current_database()").fetchone() == ("postgres",)
        wait_until(lambda: pid not in {r["remote_pid"] for r in servers(pooler)})


@pytest.mark.parametrize("change", [
    "port={port} host=localhost", "port={port} host={socket_dir}", "{same} user=carol", "{same} connect_query='SELECT 2'", "{same} auth_dbname=postgres",
    "{same} auth_query='SELECT $1::text, NULL::text'", "{same} load_balance_hosts=disable", "{same} server_tls_sslmode=disable",
], ids=range(8))
def test_each_change_of_a_row_exchanges_its_servers_and_no_transaction_notices(pgweir, postgres, change):
    same = server_row(postgres)
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: same, "other": same})
    with pooler.connect() as busy, pooler.connect("other") as untouched:
        busy.execute("BEGIN")
        pid, other = backend(busy), backend(untouched)
        row = change.format(same=same, port=postgres.port, socket_dir=postgres.socket_dir)
        pooler.change_config("databases", **{DATABASE: row if "dbname" in row else f"{row} dbname={DATABASE}"})
        pooler.reload()
        hup(pooler)
        assert backend(busy) == pid
        busy.execute("COMMIT")
        wait_until(lambda: pid not in {r["remote_pid"] for r in servers(pooler)}, 5, "the end of the old server")
        assert backend(busy) != pid and backend(untouched) == other


def test_a_change_that_does_not_concern_the_servers_keeps_them(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: server_row(postgres)})
    with pooler.connect() as client:
        pid = backend(client)
        for more in ("pool_size=3", "min_pool_size=0 reserve_pool_size=1", "query_wait_timeout=50", "max_db_connections=9", ""):
            pooler.change_config("databases", **{DATABASE: server_row(postgres, more), "more": server_row(postgres)})
            pooler.reload()
            assert backend(client) == pid


def test_rows_of_users_come_change_and_go(pgweir):
    pooler = pgweir({"pool_mode": "session", "default_pool_size": 7})

    def shown():
        (row,) = [row for row in pooler.console("SHOW USERS") if row["name"] == "alice"]
        return row["pool_mode"], row["pool_size"].strip(), row["max_user_connections"]

    with pooler.connect() as client:
        client.execute("SELECT 1")
        before = shown()
        for row, expected in (("pool_mode=transaction pool_size=2", ("transaction", "2", 0)),
                              ("pool_mode=statement max_user_connections=3", ("statement", "", 3)), (None, before)):
            pooler.change_config("users", alice=row)
            pooler.reload()
            assert shown() == expected
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_the_pool_mode_follows_a_reload(pgweir, postgres):
    pooler = pgweir({"pool_mode": "session"}, databases={DATABASE: server_row(postgres)})
    assert pooler.query("SELECT 1") == [(1,)] and pool(pooler)["pool_mode"] == "session"
    pooler.change_config(pool_mode="transaction")
    pooler.reload()
    with pooler.connect() as client:
        client.execute("SELECT 1")
        assert (pool(pooler)["pool_mode"], pool(pooler)["sv_active"]) == ("transaction", 0)


def test_a_wider_pool_serves_who_waits_at_once(pgweir):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1})
    with pooler.connect() as holder, pooler.connect() as waits:
        holder.execute("BEGIN")
        job = Background(waits.execute, "SELECT 1")
        wait_waiting(pooler)
        pooler.change_config(default_pool_size=2)
        pooler.reload()
        job.result(5)


# ---- users ----


def test_an_added_user_gets_in_and_a_removed_one_does_not(pgweir):
    pooler = pgweir()
    with pooler.connect(user="bob") as bob:
        pooler.write_userlist({name: secret for name, secret in pooler.users.items() if name != "bob"})
        pooler.reload()
        with pytest.raises(psycopg.OperationalError):
            pooler.connect(user="bob")
        assert bob.execute("SELECT 1").fetchone() == (1,)
        pooler.write_userlist(pooler.users)
        pooler.reload()
        assert pooler.query("SELECT current_user", user="bob") == [("bob",)]


def test_reloads_leak_neither_memory_nor_descriptors(pgweir):
    pooler = pgweir(users={f"user{n}": "pool_mode=session" for n in range(100)})
    pooler.query("SELECT 1")

    def reload(count):
        for n in range(count):
            pooler.change_config(default_pool_size=10 + n % 7)
            hup(pooler)
        pooler.reload()

    reload(20)
    memory, descriptors = pooler.memory_kb(), pooler.descriptors()
    reload(60)
    wait_until(lambda: pooler.descriptors() <= descriptors, 10, "the descriptors back")
    assert grown_kb(pooler, memory) < 400
    assert password_of("alice") not in pooler.log()


# ---- a thousand of them ----


def work(pooler, stop, user):
    """Transactions whose answers are checked, until told to stop; answers how many."""
    done = 0
    with pooler.connect(user=user, autocommit=False) as client:
        while not stop.is_set():
            done += 1
            assert client.execute("SELECT %s::int, current_user", (done,)).fetchone() == (done, user)
            assert client.execute("SELECT %s::int + 1", (done,)).fetchone() == (done + 1,)
            client.commit()
    return done


@covers("default_pool_size", "min_pool_size", "reserve_pool_size")
def test_a_thousand_reloads_under_load_lose_no_query_and_leak_nothing(pgweir, postgres):
    """RELOAD and SIGHUP by turns, between two files that differ in pool sizes, databases, users and secrets."""
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: server_row(postgres)})
    common = {**pooler.sections["pgbouncer"], "log_connections": 0, "log_disconnections": 0}
    base = pooler.ini.read_text()
    files = []
    for own, rows, users in (({"default_pool_size": 3, "reserve_pool_size": 1}, ["one", "both"], ["bob", "other"]),
                             ({"default_pool_size": 8, "min_pool_size": 2}, ["two", "both", "three"], ["alice"])):
        pooler.write_config({
            "pgbouncer": {**common, **own}, "databases": {DATABASE: server_row(postgres),
                                                          **{row: server_row(postgres, f"pool_size={len(rows)}") for row in rows}},
            "users": {user: "pool_size=5" for user in users}})
        files.append((pooler.ini.read_text(), {**pooler.users, rows[0]: "secret"}))
    assert base not in [text for text, _ in files]

    def reload(count, console):
        """Answers how many of them were commands."""
        for n in range(count):
            text, users = files[n % 2]
            pooler.ini.write_text(text)
            if n % 50 < 2:
                pooler.write_userlist(users)
            if n % 3:
                assert console.execute("RELOAD").statusmessage == "RELOAD"
            else:
                seen = pooler.log().count("got SIGHUP") if n % 30 == 0 else None
                pooler.signal(SIGHUP)
                console.execute("SHOW VERSION")
                if seen is not None:
                    wait_until(lambda: pooler.log().count("got SIGHUP") > seen)
        return sum(n % 3 > 0 for n in range(count))

    stop = threading.Event()
    jobs = [Background(work, pooler, stop, user) for user in ("alice", "bob", "carol") * 2]
    try:
        with pooler.connect("pgbouncer", "admin") as console:
            commands = reload(200, console)
            memory, descriptors = pooler.memory_kb(), pooler.descriptors()
            commands += reload(1000, console)
            grown = grown_kb(pooler, memory)
            assert all(job.is_alive() for job in jobs)
    finally:
        stop.set()
    assert sum(job.result() for job in jobs) > 100
    assert grown < 1024
    wait_until(lambda: pooler.descriptors() <= descriptors, 10, "the descriptors back")
    assert pooler.log().count("RELOAD command issued") == commands
    assert "ERROR" not in pooler.log() and "pooler error" not in pooler.log()
    assert {r["name"] for r in pooler.console("SHOW DATABASES")} >= {DATABASE, "two", "both", "three"}
    wait_until(lambda: setting(pooler, "default_pool_size") == "8", 5, "the last reload")
