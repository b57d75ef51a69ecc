# SPDX-License-Identifier: ISC
"""Fixtures of the integration tests: a real PostgreSQL, pgweir processes before it, and raw protocol sockets.

postgres   one throwaway PostgreSQL per pytest worker
postgres18 likewise of version 18, whatever the machine has
pgweir     factory: writes a configuration, starts the binary, answers a running Pgweir
wire       factory: raw protocol connections, closed at the end of the test

What stands beside a pooler (a directory, a PAM service, ...) is in services.py.

The binary under test is $PGWEIR, else build/pgweir. Run as root, daemons run as user postgres.
"""
import contextlib
import getpass
import itertools
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time
from signal import SIGINT

import embedded
import psycopg
import psycopg.conninfo
import psycopg.rows
import pytest

pytest_plugins = ("services",)

TOP = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS = 15
STOP_SECONDS = 10
# What no log of a healthy process contains.
ALARMS = re.compile(r"\bBUG\b|ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error|Assertion .* failed")

ADMIN = "admin"
# Roles of the test PostgreSQL, each with password "<name>-secret". The last three say how PostgreSQL asks them for
# it; the others are trusted. All are in the default auth_file, with these plain passwords.
ROLES = ("alice", "bob", "carol", "scram", "md5", "cleartext")
DATABASE = "test"


def password_of(role):
    return role + "-secret"


# One port after the other, each worker in its own part of a range from which the kernel gives no client its port: nobody
# else takes it before it is listened on, and who connects to it in vain is not connected to itself.
PORTS = range(10240, 32768)
WORKER_PORTS = PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8::8]
next_ports = itertools.cycle(random.sample(WORKER_PORTS, len(WORKER_PORTS)))


def free_port():
    for port in next_ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition, seconds=10, what="the condition"):
    """Call condition until it answers something true, and answer that; fail after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come about within {seconds} s")
        time.sleep(0.02)


def covers(*names, scope="global"):
    """Says that a test fails when one of these settings has no effect: @covers("query_timeout", scope="user"). scope:
    global, database, user, or a tuple of them; keys of rows are named as they stand there. test_covered.py wants a
    test for each setting and scope; wire tests say it in a comment: "Covers NAME (SCOPE)."."""
    assert names and scope
    return lambda test: test


class Unprivileged:
    """Who the daemons run as: user postgres when we are root, else we ourselves."""

    name = "postgres" if os.geteuid() == 0 else getpass.getuser()
    popen = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    @classmethod
    def own(cls, path):
        if cls.popen:
            shutil.chown(path, "postgres", "postgres")


@contextlib.contextmanager
def temporary_directory(name):
    """A directory that the daemons may write into; its path is short enough for Unix sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"pgweir-{name}-", dir="/tmp"))
    Unprivileged.own(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- PostgreSQL ----


def postgres_bin():
    found = os.environ.get("PG_BINDIR")
    if not found:
        versions = [p for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()]
        if versions:
            found = max(versions, key=lambda p: float(p.parent.name))
    if not found or not os.access(os.path.join(found, "initdb"), os.X_OK):
        raise RuntimeError(
            "The integration tests need a PostgreSQL server: no initdb below /usr/lib/postgresql, and PG_BINDIR does"
            " not name its directory. Debian package: postgresql"
        )
    return pathlib.Path(found)


class Postgres:
    """A throwaway PostgreSQL in its own directory; socket_dir holds its Unix socket, data its files."""

    superuser = "postgres"
    default_hba = [
        "local all all trust",
        "host all scram 127.0.0.1/32 scram-sha-256",
        "host all md5 127.0.0.1/32 md5",
        "host all cleartext 127.0.0.1/32 password",
        "host all all 127.0.0.1/32 trust",
        "host replication all 127.0.0.1/32 trust",
    ]

    def __init__(self, directory, binaries, template=None):
        """template: the data directory of another, which is copied instead of making one."""
        self.bin = binaries
        self.host = "127.0.0.1"
        self.port = free_port()
        self.socket_dir = directory
        self.data = directory / "data"
        self.logfile = directory / "postgres.log"
        if template:
            subprocess.run(["cp", "-a", template, self.data], check=True)
        else:
            self._run("initdb", "-D", self.data, "-U", self.superuser, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        # Of what is said twice, as of a copy, the last counts.
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as conf:
            # Not synchronous_commit = off: what is committed must outlive an immediate stop.
            conf.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{directory}'\n"
                "max_connections = 100\nfsync = off\nfull_page_writes = off\n"
                "shared_buffers = 16MB\nmax_prepared_transactions = 10\nlog_line_prefix = '%m [%p] %u@%d '\n"
            )
        self._write_hba(self.default_hba)

    def _run(self, tool, *arguments):
        done = subprocess.run(
            [self.bin / tool, *arguments], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, **Unprivileged.popen
        )
        if done.returncode:
            log = self.logfile.read_text() if self.logfile.exists() else ""
            raise RuntimeError(f"{tool} failed:\n{done.stdout}\n{log}")

    def _write_hba(self, lines):
        (self.data / "pg_hba.conf").write_text("\n".join(lines) + "\n", encoding="ascii")

    def start(self):
        # Not through a pipe: the server would keep it open.
        done = subprocess.run(
            [self.bin / "pg_ctl", "-s", "-w", "-D", self.data, "-l", self.logfile, "start"], cwd="/",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, **Unprivileged.popen
        )
        if done.returncode:
            raise RuntimeError("PostgreSQL did not start:\n" + self.log())

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "-s", "-w", "-m", mode, "-D", self.data, "stop")

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def running(self):
        return (self.data / "postmaster.pid").exists()

    def log(self):
        return self.logfile.read_text(encoding="utf-8", errors="replace")

    def dsn(self, db=DATABASE, user=superuser, password=None, **more):
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, dbname=db, user=user, password=password, **more
        )

    def execute(self, sql, parameters=None, db=DATABASE, user=superuser):
        """Run sql straight at PostgreSQL, as superuser; answers the rows as dicts, or []."""
        with psycopg.connect(self.dsn(db, user), autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def hba(self, *lines):
        """Put these lines before the others in pg_hba.conf for the length of a with block."""
        self._write_hba([*lines, *self.default_hba])
        self.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self._write_hba(self.default_hba)
            self.execute("SELECT pg_reload_conf()")


def make_template(binaries, path):
    """A data directory with the test database and all ROLES."""
    with temporary_directory("pg") as directory:
        cluster = Postgres(directory, binaries)
        cluster.start()
        try:
            cluster.execute(f"CREATE DATABASE {DATABASE}", db="postgres")
            for role in ROLES:
                encryption = "md5" if role == "md5" else "scram-sha-256"
                cluster.execute(
                    f"SET password_encryption = '{encryption}'; CREATE ROLE {role} LOGIN PASSWORD '{password_of(role)}';"
                    f" GRANT CREATE ON SCHEMA public TO {role}; GRANT ALL ON DATABASE {DATABASE} TO {role}"
                )
        finally:
            if cluster.running():
                cluster.stop("fast")
        unfinished = path.with_suffix(".unfinished")
        subprocess.run(["cp", "-a", cluster.data, unfinished], check=True)
        unfinished.rename(path)


@contextlib.contextmanager
def running_cluster(binaries, template):
    """A Postgres that runs, made of the template; the first worker that wants it makes that one."""
    with embedded.locked(template.with_suffix(".lock")):
        if not template.exists():
            make_template(binaries, template)
    with temporary_directory("pg") as directory:
        cluster = Postgres(directory, binaries, template)
        cluster.start()
        try:
            yield cluster
        finally:
            if cluster.running():
                cluster.stop()


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    """A directory that the workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def postgres_cluster(templates):
    with running_cluster(postgres_bin(), templates / "postgres") as cluster:
        yield cluster


@pytest.fixture
def postgres(postgres_cluster):
    """The worker's PostgreSQL; started again should the test before have left it stopped."""
    if not postgres_cluster.running():
        postgres_cluster.start()
    return postgres_cluster


@pytest.fixture(scope="session")
def postgres18_home():
    """Directory with bin, lib and share of PostgreSQL 18, where the daemons can read it."""
    home = embedded.postgres_home(18)
    if not Unprivileged.popen:
        yield home
        return
    with temporary_directory("pg18") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(shutil.copytree(home, directory / "home", symlinks=True))


@pytest.fixture(scope="session")
def postgres18_cluster(postgres18_home, templates):
    with running_cluster(postgres18_home / "bin", templates / "postgres18") as cluster:
        yield cluster


@pytest.fixture
def postgres18(postgres18_cluster):
    """The worker's PostgreSQL 18; started again should the test before have left it stopped."""
    if not postgres18_cluster.running():
        postgres18_cluster.start()
    return postgres18_cluster


# ---- pgweir ----


@pytest.fixture(scope="session")
def binary():
    path = pathlib.Path(os.environ.get("PGWEIR", TOP / "build" / "pgweir"))
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"There is no {path} to test; dev/test builds it, or $PGWEIR names it.")
    if not Unprivileged.popen:
        yield path.resolve()
        return
    # The checkout may lie where user postgres cannot look.
    with temporary_directory("bin") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(shutil.copy(path, directory / "pgweir"))


def quote_userlist(text):
    return '"' + text.replace('"', '""') + '"'


class Pgweir:
    """One pgweir process. Its files are in .directory: pgweir.ini (.ini), userlist.txt (.userlist), pgweir.log."""

    def __init__(self, binary, directory, sections, users, arguments, environment):
        self.binary = binary
        self.directory = directory
        self.ini = directory / "pgweir.ini"
        self.userlist = directory / "userlist.txt"
        self.logfile = directory / "pgweir.log"
        self.host = "127.0.0.1"
        self.port = int(sections["pgbouncer"]["listen_port"])
        self.arguments = arguments
        self.environment = environment
        self.process = None
        self.expected_exit = 0
        self.alarms_expected = False
        self.sections = {}
        self.users = users
        self.write_config(sections)
        self.write_userlist(users)

    # -- files --

    def write_config(self, sections):
        """Write the ini; sections is {section: {key: value}}, or the text itself. A value None leaves the key out."""
        if isinstance(sections, str):
            text = sections
        else:
            self.sections = sections
            lines = []
            for section, rows in sections.items():
                lines.append(f"[{section}]")
                lines += [f"{key} = {value}" for key, value in rows.items() if value is not None]
            text = "\n".join(lines) + "\n"
        self.ini.write_text(text, encoding="utf-8")
        Unprivileged.own(self.ini)

    def change_config(self, section="pgbouncer", **rows):
        """Write the ini anew with these rows changed (None: removed). The process is not told: see reload()."""
        sections = {name: dict(content) for name, content in self.sections.items()}
        sections.setdefault(section, {}).update(rows)
        self.write_config(sections)

    def write_userlist(self, users):
        """Write the auth_file; users is {name: secret}, or the text itself."""
        if not isinstance(users, str):
            users = "".join(f"{quote_userlist(name)} {quote_userlist(secret)}\n" for name, secret in users.items())
        self.userlist.write_text(users, encoding="utf-8")
        Unprivileged.own(self.userlist)

    def log(self):
        return self.logfile.read_text(encoding="utf-8", errors="replace") if self.logfile.exists() else ""

    def wait_for_log(self, pattern, seconds=10):
        """Wait until a regular expression is found in the log; answers the match."""
        return wait_until(lambda: re.search(pattern, self.log()), seconds, f"log line {pattern!r}")

    # -- process --

    def start(self, wait=True):
        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *self.arguments, self.ini], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, **self.environment}, **Unprivileged.popen
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        """Wait until the console lets us in."""
        def ready():
            if not self.running():
                pytest.fail(f"{self.binary} ended with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(psycopg.OperationalError):
                self.connect("pgbouncer", ADMIN).close()
                return True
            return False

        wait_until(ready, READY_SECONDS, "a console that lets us in")

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        """Wait for the process to end by itself; answers its exit code."""
        return self.process.wait(seconds)

    def stop(self, number=SIGINT, seconds=STOP_SECONDS):
        """End the process and hold it to a clean end: exit code 0 (.expected_exit) and no alarm in the log."""
        if self.process is None:
            return
        stuck = False
        if self.running():
            self.signal(number)
            try:
                self.wait(seconds / 2)
            except subprocess.TimeoutExpired:
                self.signal(SIGINT)  # servers still in use: a second one ends at once
                try:
                    self.wait(seconds / 2)
                except subprocess.TimeoutExpired:
                    stuck = True
                    self.process.kill()
                    self.wait()
        code = self.process.returncode
        self.process = None
        assert not stuck, f"did not end within {seconds} s of two signals:\n{self.log()[-4000:]}"
        assert code == self.expected_exit, f"ended with {code}, not {self.expected_exit}:\n{self.log()[-4000:]}"
        alarm = ALARMS.search(self.log())
        assert self.alarms_expected or not alarm, "alarm in the log:\n" + self.log()[max(0, alarm.start() - 500):][:6000]

    def restart(self):
        self.stop()
        return self.start()

    def memory_kb(self):
        """Resident memory of the process, in KiB."""
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text()).group(1))

    def descriptors(self):
        """How many file descriptors the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # -- connections --

    def dsn(self, db=DATABASE, user="alice", password=None, **more):
        """Connection string over TCP; host=str(pgweir.directory) goes over the Unix socket. password: see password_of."""
        if password is None:
            password = password_of(user)
        parameters = {"host": self.host, "port": self.port, "dbname": db, "user": user, "password": password}
        parameters.update({"connect_timeout": 10, "sslmode": "disable", "gssencmode": "disable"})
        return psycopg.conninfo.make_conninfo(**{**parameters, **more})

    def connect(self, db=DATABASE, user="alice", password=None, autocommit=True, **more):
        """A psycopg connection; prepared statements are off, as transaction mode wants it."""
        connection = psycopg.connect(self.dsn(db, user, password, **more), autocommit=autocommit)
        connection.prepare_threshold = None
        return connection

    def query(self, sql, db=DATABASE, user="alice", password=None, **more):
        """Rows (tuples) of one query on a connection of its own; [] where it has none."""
        with self.connect(db, user, password, **more) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def console(self, sql, user=ADMIN, db="pgbouncer", password=None):
        """One console command; the rows as dicts, [] where it has none. psycopg.Error when it is refused."""
        with self.connect(db, user, password) as connection:
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def reload(self):
        self.console("RELOAD")


@pytest.fixture
def pgweir(binary, postgres, request):
    """Factory of running processes:

        pgweir({"pool_mode": "transaction"})                            rows of [pgbouncer]
        pgweir(databases={"test": "host=... port=..."}, users={"bob": "pool_mode=session"})
        pgweir(config={...}, sections={"peers": {...}})                 any other section
        pgweir(start=False)                                             files only; .start(wait=False), .wait()

    Defaults: auth_type trust, auth_file with ROLES and "admin" (plain passwords, password_of), admin_users admin,
    listening on 127.0.0.1 and on a Unix socket in .directory; [databases] test, test_session, test_transaction,
    test_statement, all the test database of the worker's PostgreSQL, the last three each in their mode. At the end
    every process must end cleanly.
    """
    with contextlib.ExitStack() as directories:
        made = []

        def factory(config=None, databases=None, users=None, sections=None, userlist=None, arguments=(),
                    environment=None, start=True):
            directory = directories.enter_context(temporary_directory("run"))
            server = f"host={postgres.host} port={postgres.port} dbname={DATABASE}"
            content = {
                "pgbouncer": {
                    "listen_addr": "127.0.0.1",
                    "listen_port": free_port(),
                    "unix_socket_dir": directory,
                    "auth_type": "trust",
                    "auth_file": directory / "userlist.txt",
                    "admin_users": ADMIN,
                    **(config or {}),
                },
                "databases": databases if databases is not None else {
                    DATABASE: server,
                    **{f"{DATABASE}_{mode}": f"{server} pool_mode={mode}"
                       for mode in ("session", "transaction", "statement")},
                },
                "users": users or {},
                **(sections or {}),
            }
            if userlist is None:
                userlist = {name: password_of(name) for name in (ADMIN, *ROLES)}
            process = Pgweir(binary, directory, content, userlist, list(arguments), environment or {})
            made.append(process)
            if start:
                process.start()
            return process

        request.node.pgweir_processes = made
        try:
            yield factory
        finally:
            complaints = []
            for process in reversed(made):
                try:
                    process.stop()
                except AssertionError as complaint:
                    complaints.append(str(complaint))
            if complaints:
                pytest.fail("\n".join(complaints))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows the logs of its processes."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for process in getattr(item, "pgweir_processes", ()):
            with contextlib.suppress(OSError):
                report.sections.append((f"log of {process.directory.name}", process.log()[-8000:]))


# ---- the protocol, by hand ----


class ProtocolClosed(Exception):
    """The other side closed the connection."""


class Wire:
    """A raw protocol connection, for what no driver would send. Use with auth_type trust, or log in by hand."""

    protocol = 3 << 16
    ssl_request = 80877103
    cancel_request = 80877102
    gssenc_request = 80877104

    def __init__(self, target, timeout=10, source=None):
        """target: (host, port), the path of a Unix socket, or an object with .host and .port (Pgweir, Postgres).
        source: the address to come from."""
        if hasattr(target, "port"):
            target = (target.host, target.port)
        if isinstance(target, tuple):
            self.socket = socket.create_connection(target, timeout, source and (source, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(target))
        self.buffer = b""
        self.parameters = {}
        self.key = None  # (process id, secret key bytes) of BackendKeyData

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- out --

    def send_raw(self, data):
        self.socket.sendall(data)

    @staticmethod
    def message(kind, body=b""):
        """The bytes of one message; kind is its type byte."""
        return kind + struct.pack("!I", len(body) + 4) + body

    def send(self, kind, body=b""):
        self.send_raw(self.message(kind, body))

    @staticmethod
    def startup_packet(parameters, protocol=protocol):
        body = b"".join(
            word.encode() + b"\0" for pair in parameters.items() for word in pair
        )
        return struct.pack("!II", len(body) + 9, protocol) + body + b"\0"

    def startup(self, login=True, protocol=protocol, **parameters):
        """Send a StartupMessage (user alice, database test unless told); with login, read up to ReadyForQuery and
        answer those messages."""
        parameters = {"user": "alice", "database": DATABASE, **parameters}
        self.send_raw(self.startup_packet(parameters, protocol))
        return self.read_until(b"Z") if login else None

    def query(self, sql):
        """A simple query; answers all messages up to ReadyForQuery."""
        self.send(b"Q", sql.encode() + b"\0")
        return self.read_until(b"Z")

    @classmethod
    def cancel_packet(cls, key):
        process, secret = key
        return struct.pack("!III", 12 + len(secret), cls.cancel_request, process) + secret

    def start_tls(self, context=None):
        """SSLRequest and handshake; answers the byte of the server. A given context verifies."""
        self.send_raw(struct.pack("!II", 8, self.ssl_request))
        answer = self.read_bytes(1)
        if answer == b"S":
            if context is None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        return answer

    # -- in --

    def read_bytes(self, count):
        while len(self.buffer) < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise ProtocolClosed(f"closed with {len(self.buffer)} bytes of an unfinished message")
            self.buffer += data
        result, self.buffer = self.buffer[:count], self.buffer[count:]
        return result

    def read_message(self):
        """The next message as (type, body); ProtocolClosed where there is none."""
        kind, length = struct.unpack("!cI", self.read_bytes(5))
        body = self.read_bytes(length - 4)
        if kind == b"S":
            name, value = body.split(b"\0")[:2]
            self.parameters[name.decode()] = value.decode()
        elif kind == b"K":
            self.key = (struct.unpack("!I", body[:4])[0], body[4:])
        return kind, body

    def read_until(self, *kinds):
        """All messages up to and with one of a type in kinds. An ErrorResponse with severity FATAL before it fails."""
        messages = []
        while True:
            kind, body = self.read_message()
            messages.append((kind, body))
            if kind in kinds:
                return messages
            if kind == b"E" and self.fields(body)["S"] in ("FATAL", "PANIC"):
                pytest.fail(f"unexpected {self.fields(body)}")

    def read_error(self):
        """Read up to an ErrorResponse; answers its fields as a dict: S, V, C, M, D, H ..."""
        while True:
            kind, body = self.read_message()
            if kind == b"E":
                return self.fields(body)

    def read_rest(self):
        """All messages until the other side closes."""
        messages = []
        while True:
            try:
                messages.append(self.read_message())
            except ProtocolClosed:
                return messages

    def expect_closed(self):
        """Nothing more comes, and the other side closes."""
        rest = self.read_rest()
        assert rest == [] and self.buffer == b"", f"unexpected before the end: {rest} {self.buffer!r}"

    def quiet(self, seconds=0.2):
        """True if nothing at all arrives for so long."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            data = b"" if self.buffer else self.socket.recv(65536)
            self.buffer += data
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(before)

    # -- reading bodies --

    @staticmethod
    def fields(body):
        """The fields of an ErrorResponse or NoticeResponse as a dict."""
        return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}

    @staticmethod
    def row(body):
        """The columns of a DataRow: bytes, or None for NULL."""
        (count,), at, columns = struct.unpack("!H", body[:2]), 2, []
        for _ in range(count):
            (length,) = struct.unpack("!i", body[at:at + 4])
            at += 4
            columns.append(None if length < 0 else body[at:at + length])
            at += max(length, 0)
        return columns

    @classmethod
    def rows(cls, messages):
        """The rows among messages."""
        return [cls.row(body) for kind, body in messages if kind == b"D"]

    @staticmethod
    def kinds(messages):
        """The type bytes of messages, joined: b"TDCZ"."""
        return b"".join(kind for kind, _ in messages)


@pytest.fixture
def wire():
    """Factory of Wire connections: wire(pgweir), wire(socket_path); all are closed at the end of the test."""
    with contextlib.ExitStack() as connections:
        yield lambda target, **more: connections.enter_context(Wire(target, **more))
