# SPDX-License-Identifier: ISC
"""session_features: what becomes of requests that leave something behind in a server connection, in transaction and
statement mode, and SHOW FEATURES."""
import psycopg
import pytest
from conftest import DATABASE, covers
from helpers import SYNC, bind, error_in, execute, parse, query, server_row

CLASSES = {  # one request of each, and one like it that leaves nothing behind
    "listen": ("LISTEN x", "UNLISTEN x"),
    "set": ("SET work_mem = '1MB'", "SET TimeZone = 'UTC'"),
    "advisory_lock": ("SELECT pg_advisory_lock_shared(1)", "SELECT pg_advisory_xact_lock(1)"),
    "temp_table": ("CREATE TEMP TABLE left_behind (a int)", "BEGIN; CREATE TEMP TABLE gone (a int) ON COMMIT DROP; COMMIT"),
    "hold_cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "BEGIN; DECLARE c CURSOR FOR SELECT 1; COMMIT"),
    "load": ("LOAD 'plpgsql'", "SELECT 'LOAD'"),
}
WHAT = {"listen": "LISTEN", "set": "SET of a parameter that does not follow the client", "advisory_lock": "an advisory lock of the session",
        "temp_table": "a temporary relation without ON COMMIT DROP", "hold_cursor": "a cursor WITH HOLD", "load": "LOAD"}


def message(name, mode="transaction"):
    return f"{WHAT[name]} needs a session of its own, which pool_mode {mode} does not give"


def features(pooler, db=DATABASE):
    """The row of SHOW FEATURES, without zeros."""
    for row in pooler.console("SHOW FEATURES"):
        if row.pop("database") == db:
            return {name: int(value) for name, value in row.items() if int(value)}
    return {}


def speaking(pooler, **more):
    """A connection and the notices it got."""
    connection = pooler.connect(**more)
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.sqlstate, notice.message_primary)))
    return connection, notices


@pytest.fixture
def pooler(pgweir, postgres):
    """Its server connections are a superuser's, for LOAD needs one."""
    databases = {DATABASE: server_row(postgres, f"user={postgres.superuser}")}
    return lambda policy, **more: pgweir({"pool_mode": "transaction", "session_features": policy, **more}, databases=databases)


@pytest.mark.parametrize("name", CLASSES)
def test_it_passes_and_is_counted_by_default(pooler, name):
    pooler = pooler("allow")
    connection, notices = speaking(pooler)
    with connection:
        assert pooler.console("SHOW CONFIG") and not features(pooler)
        connection.execute(CLASSES[name][1])
        assert not features(pooler)
        connection.execute(CLASSES[name][0])
        assert features(pooler) == {name: 1}
        again = {"temp_table": "CREATE TEMP TABLE other (a int)", "hold_cursor": "DECLARE other CURSOR WITH HOLD FOR SELECT 1"}
        connection.execute(again.get(name, CLASSES[name][0]), prepare=True)
        assert features(pooler) == {name: 2}
    assert not notices


@covers("session_features")
@pytest.mark.parametrize("name", CLASSES)
def test_it_is_warned_of_once_for_each_client(pooler, name):
    pooler = pooler(f"{name}=warn")
    for client in range(2):
        connection, notices = speaking(pooler)
        with connection:
            connection.execute(CLASSES[name][1])
            assert not [notice for notice in notices if notice[1] == "01000"]
            for _ in range(2):
                connection.execute("ROLLBACK; BEGIN; " + CLASSES[name][0])
            assert [notice for notice in notices if notice[1] == "01000"] == [("WARNING", "01000", message(name))]
            connection.execute("ROLLBACK")
        assert features(pooler) == {name: 2 * (client + 1), "warned": client + 1}
    assert pooler.log().count(message(name)) == 2


@covers("session_features")
@pytest.mark.parametrize("name", CLASSES)
def test_it_is_refused(pooler, name):
    pooler = pooler(f"{name}=error")
    connection, notices = speaking(pooler)
    with connection:
        connection.execute(CLASSES[name][1])
        for more in ({}, {"prepare": True}):
            with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
                connection.execute(CLASSES[name][0], **more)
            assert refused.value.diag.message_primary == message(name)
            assert "session_features" in refused.value.diag.message_hint
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert features(pooler) == {name: 2, "refused": 2}
        # in a transaction it is an error like any other
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute(CLASSES[name][0])
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.execute("ROLLBACK")
        # nothing of a text of which a part is refused is done
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute("CREATE TABLE never (a int); " + CLASSES[name][0])
        assert connection.execute("SELECT to_regclass('never')").fetchone() == (None,)


def test_a_refusal_stands_in_its_place_in_a_pipeline(pooler, wire):
    connection = wire(pooler("error"))
    connection.startup()
    connection.send_raw(parse("SELECT 'before'") + bind() + execute() + parse("LISTEN x") + bind() + execute() + SYNC
                        + query("SELECT 'behind'") + query("LISTEN y") + parse("LISTEN z", "named") + SYNC
                        + parse("SELECT 'last'", "named") + bind(statement="named") + execute() + SYNC)
    parts = [connection.read_until(b"Z") for _ in range(5)]
    assert [connection.kinds(part) for part in parts] == [b"12DCEZ", b"TDCZ", b"EZ", b"EZ", b"12DCZ"]
    for part in (parts[0], parts[2], parts[3]):
        fields = error_in(part)
        assert (fields["S"], fields["C"], fields["M"]) == ("ERROR", "0A000", message("listen"))
        assert "P" not in fields


def test_statement_mode_too_but_not_session_mode(pooler):
    start = pooler
    for mode in ("statement", "session"):
        pooler = start("error", pool_mode=mode)
        connection, _ = speaking(pooler)
        with connection:
            if mode == "session":
                for request, _ in CLASSES.values():
                    if "CURSOR" not in request:
                        connection.execute(request)
                assert not features(pooler)
            else:
                with pytest.raises(psycopg.errors.FeatureNotSupported) as refused:
                    connection.execute("LISTEN x")
                assert refused.value.diag.message_primary == message("listen", "statement")
        pooler.stop()


def test_without_prepared_statements_too(pooler):
    pooler = pooler("set=error, listen=warn", max_prepared_statements=0)
    connection, notices = speaking(pooler)
    with connection:
        for more in ({}, {"prepare": True}):
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                connection.execute("SET work_mem = '1MB'", **more)
        connection.execute("LISTEN x")
        assert notices == [("WARNING", "01000", message("listen"))]
        assert connection.execute("SELECT 1").fetchone() == (1,)


@covers("session_features", scope="database")
@covers("session_features", scope="user")
def test_user_before_database_before_all(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction", "session_features": "listen=error"},
                    databases={"plain": server_row(postgres), "own": server_row(postgres, "session_features=allow"),
                               "strict": server_row(postgres, "session_features=error")},
                    sections={"users": {"bob": "session_features=warn"}})

    def outcome(db, user):
        notices = []
        with pooler.connect(db=db, user=user) as connection:
            connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
            try:
                connection.execute("LISTEN x")
            except psycopg.Error as error:
                return error.sqlstate
        return notices[0] if notices else "allowed"

    assert [outcome(db, "alice") for db in ("plain", "own", "strict")] == ["0A000", "allowed", "0A000"]
    assert [outcome(db, "bob") for db in ("plain", "own", "strict")] == ["01000"] * 3
    assert features(pooler, "own") == {"listen": 2, "warned": 1}
    assert features(pooler, "strict") == {"listen": 2, "refused": 1, "warned": 1}


def test_a_wrong_policy_is_refused_with_what_is_allowed(pooler):
    pooler = pooler("allow")
    with pytest.raises(psycopg.Error) as refused:
        pooler.console("SET session_features = 'temp_tables=warn'")
    assert "temp_table" in str(refused.value) and "allow, warn or error" in str(refused.value)
    pooler.change_config(session_features="loud")
    with pytest.raises(psycopg.Error) as refused:
        pooler.reload()
    assert "session_features" in str(refused.value)
    assert next(row["value"] for row in pooler.console("SHOW CONFIG") if row["key"] == "session_features") == "allow"
