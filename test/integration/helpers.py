# SPDX-License-Identifier: ISC
"""What several integration tests share: questions to the console and to PostgreSQL, messages, threads, pgbench."""
import contextlib
import pathlib
import re
import struct
import subprocess
import threading
from collections import Counter

from conftest import DATABASE, Unprivileged, Wire, postgres_bin, wait_until

# ---- configuration and state ----


def server_row(postgres, more="", dbname=DATABASE):
    """The right side of a [databases] row that leads to the test PostgreSQL."""
    return f"host={postgres.host} port={postgres.port} dbname={dbname} {more}".rstrip()


def pool(pooler, user="alice", db=DATABASE):
    """The row of SHOW POOLS of this pool, or None."""
    return next((r for r in pooler.console("SHOW POOLS") if (r["database"], r["user"]) == (db, user)), None)


def servers(pooler, db=DATABASE):
    return [r for r in pooler.console("SHOW SERVERS") if r["database"] == db]


def where(pooler):
    """The addresses of its server connections, and how many each has."""
    return Counter(r["addr"] for r in servers(pooler))


@contextlib.contextmanager
def busy(pooler, count):
    """So many clients, each in a transaction."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(pooler.connect())) for _ in range(count)]
        for client in clients:
            client.execute("BEGIN")
        yield clients


def setting(pooler, name):
    """The value in SHOW CONFIG."""
    return {r["key"]: r["value"] for r in pooler.console("SHOW CONFIG")}[name]


def change(pooler, how, **values):
    """Give settings new values by a changed file and RELOAD, or by SET at the console."""
    if how == "RELOAD":
        pooler.change_config(**values)
        pooler.reload()
        return
    for name, value in values.items():
        text = str(value).replace("'", "''")
        pooler.console(f"SET {name} = '{text}'")


def backend(connection):
    """Which PostgreSQL process answers this psycopg connection."""
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def end_servers(pooler, user, *servers_of_it):
    """End the user's connections at these PostgreSQL servers, and wait until the pooler knows."""
    def all_of_it():
        return {(row["database"], row["remote_pid"]) for row in pooler.console("SHOW SERVERS") if row["user"] == user}
    gone = all_of_it()
    for server in servers_of_it:
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (user,))
    wait_until(lambda: not gone & all_of_it(), what=f"the servers of {user} to go")


def wait_idle(pooler, seconds=10):
    """Wait until no server works for a client, is cancelled or reset."""
    wait_until(lambda: all(r["sv_active"] == r["sv_being_canceled"] == r["sv_tested"] == r["cl_waiting"] == 0
                           for r in pooler.console("SHOW POOLS") if r["database"] not in ("pgbouncer", "pgweir")),
               seconds, "a pooler at rest")


def wait_waiting(pooler, count=1, user="alice", db=DATABASE):
    """Wait until so many clients are queued in a pool."""
    wait_until(lambda: (pool(pooler, user, db) or {}).get("cl_waiting") == count, 10, f"{count} waiting clients")


def connections_of(postgres, application_name, more=""):
    """How many connections PostgreSQL has from this application."""
    return postgres.execute("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = %s " + more,
                            (application_name,))[0]["n"]


def grown_kb(pooler, before):
    """By how much its memory has grown since it was before. AddressSanitizer keeps what is freed, so nothing can be
    said of such a build; it finds leaks itself."""
    sanitized = "libasan" in pathlib.Path(f"/proc/{pooler.pid}/maps").read_text()
    return 0 if sanitized else pooler.memory_kb() - before


def make_table(postgres, name, columns):
    """A fresh table that every role may use."""
    postgres.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns}); GRANT ALL ON {name} TO PUBLIC")


# ---- threads ----


class Background(threading.Thread):
    """function(*arguments, **named) in a thread; result() waits for it, and answers or raises what it did."""

    def __init__(self, function, *arguments, **named):
        super().__init__(daemon=True)
        self.function, self.arguments, self.named = function, arguments, named
        self.value = self.error = None
        self.start()

    def run(self):
        try:
            self.value = self.function(*self.arguments, **self.named)
        except BaseException as error:  # handed to who asks for the result
            self.error = error

    def result(self, seconds=30):
        self.join(seconds)
        assert not self.is_alive(), f"{self.function} did not end within {seconds} s"
        if self.error:
            raise self.error
        return self.value


# ---- raw messages ----


def refusal(connection, **startup):
    """Start up on a Wire that is to be refused; answers the fields of the error, after which it must close."""
    connection.startup(login=False, **startup)
    error = connection.read_error()
    connection.expect_closed()
    return error


def query(sql):
    return Wire.message(b"Q", sql.encode() + b"\0")


def parse(sql, name="", types=()):
    return Wire.message(b"P", name.encode() + b"\0" + sql.encode() + b"\0" + struct.pack("!H", len(types)) +
                        b"".join(struct.pack("!I", oid) for oid in types))


def bind(*values, portal="", statement=""):
    """All values as text."""
    body = portal.encode() + b"\0" + statement.encode() + b"\0" + struct.pack("!HH", 0, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value.encode())) + value.encode()
    return Wire.message(b"B", body + struct.pack("!H", 0))


def describe(kind, name=""):
    return Wire.message(b"D", kind + name.encode() + b"\0")


def execute(rows=0, portal=""):
    return Wire.message(b"E", portal.encode() + b"\0" + struct.pack("!I", rows))


FLUSH = Wire.message(b"H")
SYNC = Wire.message(b"S")
TERMINATE = Wire.message(b"X")


def tags(messages):
    """The command tags among messages."""
    return [body[:-1].decode() for kind, body in messages if kind == b"C"]


def error_in(messages):
    """The fields of the first error among messages."""
    return next(Wire.fields(body) for kind, body in messages if kind == b"E")


# ---- pgbench ----


def pgbench_command(pooler, *arguments, db=DATABASE):
    return [postgres_bin() / "pgbench", "-h", pooler.host, "-p", str(pooler.port), "-U", "alice", "-n", *map(str, arguments), db]


def pgbench_tables(postgres):
    """Fresh tables of scale 1."""
    subprocess.run([postgres_bin() / "pgbench", "-h", postgres.host, "-p", str(postgres.port), "-U", "alice", "-i", "-q",
                    DATABASE], check=True, capture_output=True, **Unprivileged.popen)


def pgbench_start(pooler, *arguments, db=DATABASE):
    return subprocess.Popen(pgbench_command(pooler, *arguments, db=db), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **Unprivileged.popen)


def pgbench_transactions(bench):
    """Wait for a started pgbench; without one error, answers how many transactions it made."""
    out, err = bench.communicate(timeout=60)
    assert bench.returncode == 0 and "error" not in err.lower(), err
    assert "number of failed transactions: 0 " in out, out
    return int(re.search(r"transactions actually processed: (\d+)", out)[1])
