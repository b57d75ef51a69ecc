# SPDX-License-Identifier: ISC
"""The life of the process: command line, start and its failures, background, pidfile, signals, systemd, descriptors."""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import psycopg
import pytest
from conftest import STOP_SECONDS, Unprivileged, covers, free_port, temporary_directory, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(binary, *arguments, cwd="/", popen=None, **more):
    """Run the binary to its end; answers what subprocess.run does."""
    return subprocess.run(
        [binary, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=STOP_SECONDS, check=False, **(Unprivileged.popen if popen is None else popen), **more,
    )


def launch(pooler, *words, popen=None, wait=True, **more):
    """Start a process of files made with start=False, behind other words: launch(pooler, "prlimit", ...)."""
    with open(pooler.logfile, "ab") as log:
        pooler.process = subprocess.Popen(
            [*map(str, words), pooler.binary, *pooler.arguments, pooler.ini], cwd=pooler.directory,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **pooler.environment},
            **(Unprivileged.popen if popen is None else popen), **more,
        )
    if wait:
        pooler.wait_ready()
    return pooler


def refused(pooler, popen=None):
    """The one line that says why a process did not start, and that it ended with 1."""
    ended = run(pooler.binary, *pooler.arguments, pooler.ini, cwd=pooler.directory, popen=popen)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if re.search(r"^pgweir: | FATAL ", line)]
    assert len(lines) == 1, ended.stderr
    assert ended.stderr.splitlines()[-1] == lines[0]
    return lines[0]


def can_connect(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    return False


# ---- command line ----


def test_version_names_the_libraries(binary):
    ended = run(binary, "--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert re.fullmatch(r"pgweir \d+\.\d+\.\d+\S*", lines[0])
    assert re.fullmatch(r"libev \d+\.\d+ \(epoll\)", lines[1])
    assert re.fullmatch(r"adns: c-ares \d+\.\d+\.\d+", lines[2])
    assert re.fullmatch(r"tls: OpenSSL 3\..*", lines[3])
    assert lines[4] == "systemd: yes"
    assert [re.fullmatch(r"(pam|ldap): (yes|no)", line)[1] for line in lines[5:]] == ["pam", "ldap"]
    assert run(binary, "-V").stdout == ended.stdout


def test_version_is_what_the_console_shows(pgweir, binary):
    assert pgweir().console("SHOW VERSION") == [{"version": run(binary, "-V").stdout.splitlines()[0]}]


def test_help_lists_every_option(binary):
    ended = run(binary, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: pgweir [OPTION]... [CONFIG.ini]\n")
    for word in ("-d, --daemon", "-q, --quiet", "-v, --verbose", "-u, --user NAME", "-R, --reboot", "-V, --version", "-h, --help"):
        assert word in ended.stdout
    assert run(binary, "-h").stdout == ended.stdout


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--bogus"], 'unknown option "--bogus"'),
        (["-x"], 'unknown option "-x"'),
        (["-u"], 'option "-u" needs a value'),
        (["a.ini", "b.ini"], 'one configuration file at most, what is "b.ini"?'),
    ],
)
def test_a_wrong_command_line_is_named_with_a_hint(binary, arguments, complaint):
    ended = run(binary, *arguments)
    assert ended.returncode == 1
    assert ended.stderr == f'pgweir: {complaint}; try "pgweir --help"\n'


def test_reboot_is_refused_with_what_to_do_instead(binary):
    ended = run(binary, "-R", "some.ini")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "so_reuseport" in ended.stderr and "SHUTDOWN WAIT_FOR_CLIENTS" in ended.stderr


# ---- starts that fail: one clear line, exit code 1 ----


def test_a_missing_file_is_named(binary):
    ended = run(binary, "/nowhere/pgweir.ini")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "/nowhere/pgweir.ini" in ended.stderr and "No such file or directory" in ended.stderr


def test_an_unreadable_file_is_named(pgweir):
    pooler = pgweir(start=False)
    pooler.ini.chmod(0)
    line = refused(pooler)
    assert str(pooler.ini) in line and "Permission denied" in line


def test_a_typo_is_named_with_file_and_line(pgweir):
    pooler = pgweir(start=False)
    lines = pooler.ini.read_text().splitlines()
    pooler.write_config("\n".join([lines[0], "max_client_con = 5", *lines[1:]]) + "\n")
    line = refused(pooler)
    assert f"{pooler.ini}:2: " in line and "max_client_con" in line


def test_a_value_out_of_range_is_named_with_what_is_allowed(pgweir):
    pooler = pgweir(start=False)
    pooler.write_config("[pgbouncer]\n\nlisten_port = 99999\n")
    line = refused(pooler)
    assert f"{pooler.ini}:3" in line and 'invalid value "99999" for parameter listen_port' in line and "0 to 65535" in line


@as_root
def test_root_is_refused(pgweir):
    pooler = pgweir(start=False)
    assert 'pgweir should not run as root; set "user" or give -u' in refused(pooler, popen={})
    pooler.change_config(user="root")
    assert 'pgweir should not run as root; set "user" or give -u' in refused(pooler, popen={})


def test_an_unknown_user_is_named(pgweir):
    assert 'unknown user "nobody-of-that-name"' in refused(pgweir({"user": "nobody-of-that-name"}, start=False))


@covers("user")
@as_root
@pytest.mark.parametrize("given", ["setting", "option"])
def test_root_becomes_the_user_before_it_makes_files(pgweir, given):
    pooler = pgweir(
        {"user": "postgres" if given == "setting" else "nobody-of-that-name"}, start=False,
        arguments=["-u", "postgres"] if given == "option" else [],
    )
    pooler.change_config(logfile=pooler.directory / "own.log", pidfile=pooler.directory / "pid")
    launch(pooler, popen={})
    status = pathlib.Path(f"/proc/{pooler.pid}/status").read_text()
    assert set(re.search(r"Uid:\s+(.*)", status).group(1).split()) != {"0"}
    assert "0" not in re.search(r"Gid:\s+(.*)", status).group(1).split()
    assert "0" not in re.search(r"Groups:(.*)", status).group(1).split()
    for name in ("own.log", "pid", f".s.PGSQL.{pooler.port}"):
        assert (pooler.directory / name).owner() == "postgres"


@as_root
def test_a_file_that_only_root_may_read_starts_with_a_warning(pgweir):
    pooler = pgweir(start=False, arguments=["-u", "postgres"])
    shutil.chown(pooler.ini, "root", "root")
    pooler.ini.chmod(0o600)
    launch(pooler, popen={})
    pooler.wait_for_log(r"WARNING RELOAD will not work: .*pgweir\.ini.*Permission denied")


def test_a_port_in_use_is_named(pgweir):
    pooler = pgweir(start=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", pooler.port))
        taken.listen()
        line = refused(pooler)
    assert f"127.0.0.1:{pooler.port}" in line and "in use" in line.lower()
    assert not (pooler.directory / f".s.PGSQL.{pooler.port}").exists()


def test_a_unix_socket_in_use_is_named(pgweir):
    first = pgweir()
    second = pgweir({"unix_socket_dir": first.directory, "listen_addr": ""}, start=False)
    second.change_config(listen_port=first.port)
    assert f'unix socket is in use, cannot continue: A process listens on "{first.directory}/.s.PGSQL.{first.port}"; hint: Stop it' in refused(second)
    assert first.console("SHOW VERSION")


@pytest.mark.parametrize(
    "setting, value",
    [("unix_socket_dir", "/nowhere/sockets"), ("logfile", "/nowhere/pgweir.log"), ("pidfile", "/nowhere/pgweir.pid")],
)
def test_a_missing_directory_is_named(pgweir, setting, value):
    pooler = pgweir({setting: value}, start=False)
    line = refused(pooler)
    assert "/nowhere/" in line and "No such file or directory" in line
    assert not can_connect(pooler.port)
    assert not (pooler.directory / f".s.PGSQL.{pooler.port}").exists()


def test_quiet_starts_tell_their_failures_all_the_same(pgweir):
    assert "/nowhere/" in refused(pgweir({"unix_socket_dir": "/nowhere/sockets"}, start=False, arguments=["-q"]))


# ---- without a configuration file ----


@as_root
def test_defaults_without_a_configuration_file(pgweir):
    """In namespaces of its own: port 6432 and /tmp of this machine may be taken."""
    pooler = pgweir(start=False)
    directory = pooler.directory
    shutil.copy(pooler.binary, directory / "pgweir")
    alone = ["unshare", "-n", "-m", "sh", "-c"]
    prepare = f"ip link set lo up && mount --bind {directory} /tmp"
    if subprocess.run([*alone, prepare], check=False, capture_output=True).returncode:
        pytest.skip("namespaces are not allowed here")
    with open(pooler.logfile, "ab") as log:
        pooler.process = subprocess.Popen(
            [*alone, f"{prepare} && exec /tmp/pgweir -u postgres"], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    pooler.wait_for_log("process up: ")
    pooler.wait_for_log(r"WARNING no configuration file given, running with defaults: listening on 127\.0\.0\.1 and the Unix"
                        r" socket in /tmp, port 6432; every database name leads to localhost:5432")
    pooler.wait_for_log(r"listening on 127\.0\.0\.1:6432")

    def psql(database, role, sql, **more):
        return subprocess.run(
            ["psql", "-XAtq", "-c", sql, f"host={directory} port=6432 dbname={database} user={role}"], cwd="/",
            capture_output=True, text=True, timeout=20, check=False, **more,
        )

    # The same system user comes to the console, nobody else anywhere.
    shown = psql("pgbouncer", "pgbouncer", "SHOW DATABASES", **Unprivileged.popen)
    assert shown.returncode == 0, shown.stderr
    config = psql("pgweir", "pgbouncer", "SHOW CONFIG", **Unprivileged.popen).stdout
    assert "pool_mode|session|" in config and "listen_port|6432|" in config
    for database, role in (("pgbouncer", "pgbouncer"), ("test", "alice"), ("postgres", "postgres")):
        denied = psql(database, role, "SELECT 1", env={**os.environ, "PGPASSWORD": "wrong"})
        assert denied.returncode == 2 and "FATAL" in denied.stderr, denied


# ---- background and pidfile ----


@contextlib.contextmanager
def in_background(pooler):
    """Start with -d; answers the daemon's process id and what the command said."""
    pidfile = pooler.directory / "pid"
    ended = run(pooler.binary, "-d", *pooler.arguments, pooler.ini, cwd=pooler.directory)
    assert ended.returncode == 0, ended.stderr
    pid = int(pidfile.read_text())
    try:
        yield pid, ended
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: not alive(pid), what="the end of the daemon")


def alive(pid):
    """Is this a running process? One that nobody waits for, as in a container, has ended too."""
    try:
        return "Z" != pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def daemon_files(pgweir, **more):
    pooler = pgweir(start=False, **more)
    pooler.change_config(pidfile=pooler.directory / "pid", logfile=pooler.directory / "own.log")
    return pooler


def test_the_background_process_has_left_its_terminal(pgweir):
    pooler = daemon_files(pgweir)
    with in_background(pooler) as (pid, ended):
        # Ready when the command returns: no waiting here.
        with pooler.connect("pgbouncer", "admin") as connection:
            assert connection.execute("SHOW VERSION").fetchall()
        assert "process up: " in ended.stderr
        for number in (0, 1, 2):
            assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
        assert os.getsid(pid) not in (pid, os.getsid(0))
        assert os.getpgid(pid) != os.getpgid(0)
        own_log = pooler.directory / "own.log"
        assert f"[{pid}] LOG process up: pgweir " in own_log.read_text()
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: "got SIGHUP, re-reading config" in own_log.read_text(), what="the reload")
        os.kill(pid, signal.SIGINT)
        wait_until(lambda: not alive(pid), what="the end of the daemon")
        assert not (pooler.directory / "pid").exists()
        assert not (pooler.directory / f".s.PGSQL.{pooler.port}").exists()


def test_a_background_start_that_fails_says_so_and_leaves_nothing(pgweir):
    pooler = daemon_files(pgweir, arguments=["-d"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", pooler.port))
        taken.listen()
        assert f"127.0.0.1:{pooler.port}" in refused(pooler)
    assert not (pooler.directory / "pid").exists()


def test_the_background_needs_a_pidfile(pgweir):
    assert "daemon needs pidfile configured" in refused(pgweir(start=False, arguments=["-d"]))


@covers("pidfile")
def test_a_pidfile_is_written_and_removed(pgweir):
    pooler = pgweir(start=False)
    pidfile = pooler.directory / "pid"
    pooler.change_config(pidfile=pidfile)
    pooler.start()
    assert pidfile.read_text() == f"{pooler.pid}\n"
    assert [path.name for path in pooler.directory.glob("pid*")] == ["pid"]
    pooler.stop()
    assert not pidfile.exists()


def test_a_stale_pidfile_is_replaced(pgweir):
    pooler = pgweir(start=False)
    pidfile = pooler.directory / "pid"
    ended = subprocess.Popen(["true"])
    ended.wait()
    pidfile.write_text(f"{ended.pid}\n")
    pooler.change_config(pidfile=pidfile)
    pooler.start()
    pooler.wait_for_log("LOG stale pidfile, removing")
    assert pidfile.read_text() == f"{pooler.pid}\n"


def test_a_live_pidfile_is_refused_and_kept(pgweir):
    first = pgweir(start=False)
    pidfile = first.directory / "pid"
    first.change_config(pidfile=pidfile)
    first.start()
    second = pgweir({"pidfile": pidfile}, start=False)
    assert f"FATAL pidfile '{pidfile}' exists, another instance running?" in refused(second)
    assert pidfile.read_text() == f"{first.pid}\n"
    assert not can_connect(second.port)


def test_a_file_that_is_no_pidfile_is_left_alone(pgweir):
    pooler = pgweir(start=False)
    precious = pooler.directory / "precious"
    precious.write_text("root:x:0:0\n")
    pooler.change_config(pidfile=precious)
    assert "holds something else than a process id" in refused(pooler)
    assert precious.read_text() == "root:x:0:0\n"


# ---- log ----


def test_the_start_is_logged(pgweir):
    pooler = pgweir({"max_client_conn": 77, "default_pool_size": 3}, databases={"a": "host=x", "b": "host=x user=u pool_size=5"})
    head = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[%d\] LOG " % pooler.pid
    users = 1 + 6  # of auth_file
    pooler.wait_for_log(head + r"kernel file descriptor limit: \d+ \(hard: \d+\); max_client_conn: 77,"
                               rf" max expected fd use: {77 + 3 * users + 5 + 16}\n")
    pooler.wait_for_log(head + rf"listening on 127\.0\.0\.1:{pooler.port}\n")
    pooler.wait_for_log(head + r"process up: pgweir \S+, libev \S+ \(epoll\), adns: c-ares \S+, tls: OpenSSL 3\.")


def test_quiet_writes_to_the_logfile_only(pgweir):
    pooler = pgweir(start=False, arguments=["-q"])
    own_log = pooler.directory / "own.log"
    pooler.change_config(logfile=own_log)
    pooler.start()
    assert pooler.query("SELECT 1") == [(1,)]
    pooler.signal(signal.SIGHUP)
    wait_until(lambda: "got SIGHUP" in own_log.read_text(), what="the reload")
    pooler.stop()
    assert pooler.log() == ""
    assert "process up: " in own_log.read_text()


@covers("verbose")
@pytest.mark.parametrize("arguments, config, shown", [([], {}, False), (["-v"], {}, True), ([], {"verbose": 1}, True)])
def test_verbose_adds_debug_lines(pgweir, arguments, config, shown):
    pooler = pgweir(config, arguments=arguments)
    assert bool(re.search(r"\] DEBUG configuration: .*pgweir\.ini, ", pooler.log())) == shown


@covers("logfile")
def test_reload_reopens_the_logfile(pgweir):
    pooler = pgweir(start=False)
    own_log, rotated = pooler.directory / "own.log", pooler.directory / "own.log.1"
    pooler.change_config(logfile=own_log)
    pooler.start()
    own_log.rename(rotated)
    pooler.query("SELECT 1")
    assert not own_log.exists()
    pooler.signal(signal.SIGHUP)
    wait_until(own_log.exists, what="a new logfile")
    pooler.query("SELECT 1", user="bob")
    wait_until(lambda: "/bob@" in own_log.read_text(), what="a line in the new logfile")
    assert "/alice@" in rotated.read_text() and "/bob@" not in rotated.read_text()


def test_a_logfile_that_cannot_be_reopened_is_told_and_the_old_one_stays(pgweir):
    pooler = pgweir(start=False)
    own_log = pooler.directory / "own.log"
    pooler.change_config(logfile=own_log)
    pooler.start()
    pooler.change_config(logfile="/nowhere/own.log")
    pooler.signal(signal.SIGHUP)
    wait_until(lambda: re.search('ERROR could not open log file "/nowhere/own.log"', own_log.read_text()), what="the complaint")
    assert pooler.query("SELECT 1") == [(1,)]


def test_a_full_disk_for_the_log_is_told_and_the_service_goes_on(pgweir):
    pooler = pgweir({"logfile": "/dev/full"}, arguments=["-q"])
    assert pooler.query("SELECT 1") == [(1,)]
    assert "could not write the log file: No space left on device" in pooler.log()
    assert len(pooler.log().splitlines()) == 1


# ---- signals ----


def show_config(pooler, name):
    return {row["key"]: row["value"] for row in pooler.console("SHOW CONFIG")}[name]


def test_hup_reloads(pgweir):
    pooler = pgweir({"default_pool_size": 5})
    pooler.change_config(default_pool_size=6)
    pooler.signal(signal.SIGHUP)
    pooler.wait_for_log("LOG got SIGHUP, re-reading config")
    wait_until(lambda: show_config(pooler, "default_pool_size") == "6", what="the new value")


def test_hup_with_a_broken_file_changes_nothing(pgweir):
    pooler = pgweir({"default_pool_size": 5})
    pooler.change_config(default_pool_size=6, max_client_conn="many")
    line = 1 + pooler.ini.read_text().splitlines().index("max_client_conn = many")
    pooler.signal(signal.SIGHUP)
    pooler.wait_for_log(rf"WARNING config file loading failed.*max_client_conn.*{pooler.ini}:{line}\b")
    assert show_config(pooler, "default_pool_size") == "5"
    assert pooler.query("SELECT 1") == [(1,)]


def test_hup_names_settings_that_need_a_restart(pgweir):
    pooler = pgweir()
    pooler.change_config(listen_port=free_port())
    pooler.signal(signal.SIGHUP)
    pooler.wait_for_log('WARNING .*"listen_port".* restart')
    assert show_config(pooler, "listen_port") == str(pooler.port)


def ended_within(pooler, seconds=3):
    """The exit code of a process that ends by itself."""
    return pooler.wait(seconds)


def test_term_waits_for_clients(pgweir):
    pooler = pgweir()
    with pooler.connect() as connection:
        pooler.signal(signal.SIGTERM)
        pooler.wait_for_log("LOG got SIGTERM, shutting down, waiting for all clients disconnect")
        assert not can_connect(pooler.port)
        time.sleep(1)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        # The console stays open over the Unix socket, for administrators only.
        assert pooler.query("SHOW VERSION", db="pgbouncer", user="admin", host=str(pooler.directory))
        with pytest.raises(psycopg.OperationalError, match="shutting down"):
            pooler.connect(host=str(pooler.directory))
    assert ended_within(pooler) == 0
    pooler.wait_for_log("LOG client connections dropped, exiting")
    assert not (pooler.directory / f".s.PGSQL.{pooler.port}").exists()


def test_while_it_shuts_down_it_is_neither_paused_nor_resumed_nor_shut_down_otherwise(pgweir):
    pooler = pgweir()
    console = {"db": "pgbouncer", "user": "admin", "host": str(pooler.directory)}
    with pooler.connect() as connection:
        pooler.signal(signal.SIGTERM)
        pooler.wait_for_log("LOG got SIGTERM, shutting down, waiting for all clients disconnect")
        for command in ("RESUME", "SHUTDOWN WAIT_FOR_SERVERS", "SHUTDOWN WAIT_FOR_CLIENTS"):
            with pytest.raises(psycopg.Error, match="pooler is shutting down") as refusal:
                pooler.query(command, **console)
            assert refusal.value.sqlstate == "57P03"
        pooler.signal(signal.SIGUSR1)
        pooler.wait_for_log("LOG got SIGUSR1 while shutting down, ignoring")
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert ended_within(pooler) == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_term_or_int_ends_at_once(pgweir, first, second):
    pooler = pgweir()
    connection = pooler.connect("test_session")
    connection.execute("SELECT 1")
    pooler.signal(first)
    pooler.wait_for_log(f"LOG got {first.name}, shutting down, waiting for all ")
    assert pooler.running()
    pooler.signal(second)
    assert ended_within(pooler) == 0
    pooler.wait_for_log(f"LOG got {second.name} while shutting down, fast exit")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")


def test_int_waits_for_servers(pgweir):
    pooler = pgweir()
    connection = pooler.connect("test_transaction")
    connection.execute("BEGIN")
    pooler.signal(signal.SIGINT)
    pooler.wait_for_log("LOG got SIGINT, shutting down, waiting for all servers connections to be released")
    time.sleep(1)
    assert pooler.running()
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    connection.execute("COMMIT")
    assert ended_within(pooler) == 0
    pooler.wait_for_log("LOG server connections dropped, exiting")


def test_quit_ends_at_once(pgweir):
    pooler = pgweir()
    connection = pooler.connect("test_transaction")
    connection.execute("BEGIN")
    pooler.signal(signal.SIGQUIT)
    assert ended_within(pooler) == 0
    pooler.wait_for_log("LOG got SIGQUIT, fast exit")
    assert not (pooler.directory / f".s.PGSQL.{pooler.port}").exists()


def test_usr1_pauses_and_usr2_resumes(pgweir, wire):
    pooler = pgweir()
    client = wire(pooler)
    client.startup(database="test_transaction")
    client.query("SELECT 1")
    pooler.signal(signal.SIGUSR1)
    pooler.wait_for_log("LOG got SIGUSR1, pausing all activity")
    client.send(b"Q", b"SELECT 2\0")
    assert client.quiet(0.5)
    pooler.signal(signal.SIGUSR1)
    pooler.wait_for_log("LOG got SIGUSR1, but already paused/suspended")
    pooler.signal(signal.SIGUSR2)
    assert client.rows(client.read_until(b"Z")) == [[b"2"]]
    pooler.wait_for_log("LOG got SIGUSR2, continuing from PAUSE")
    pooler.signal(signal.SIGUSR2)
    pooler.wait_for_log("LOG got SIGUSR2, but not paused/suspended")


def test_usr2_while_shutting_down_is_ignored(pgweir):
    pooler = pgweir()
    with pooler.connect():
        pooler.signal(signal.SIGTERM)
        pooler.wait_for_log("got SIGTERM")
        pooler.signal(signal.SIGUSR2)
        pooler.wait_for_log("LOG got SIGUSR2 while shutting down, ignoring")
        assert pooler.running()
    assert ended_within(pooler) == 0


# ---- systemd ----


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"pgweir-notify-{os.getpid()}-{id(self)}"
        self.socket.bind("\0" + self.name)
        self.socket.settimeout(5)
        self.environment = {"NOTIFY_SOCKET": "@" + self.name}

    def next(self):
        return self.socket.recv(4096).decode()


@pytest.fixture
def manager():
    made = Manager()
    with made.socket:
        yield made


def test_the_service_manager_is_told_of_start_reload_and_stop(pgweir, manager):
    pooler = pgweir(environment=manager.environment)
    assert manager.next() == "READY=1"
    for config in ({"default_pool_size": 6}, {"default_pool_size": "many"}):
        before = time.monotonic_ns() // 1000
        pooler.change_config(**config)
        pooler.signal(signal.SIGHUP)
        told = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.next())
        assert before <= int(told.group(1)) <= time.monotonic_ns() // 1000
        assert manager.next() == "READY=1"
    pooler.signal(signal.SIGTERM)
    assert manager.next() == "STOPPING=1"
    assert ended_within(pooler) == 0


def test_the_service_manager_shows_the_stats(pgweir, manager):
    pooler = pgweir({"stats_period": 1}, environment=manager.environment)
    assert manager.next() == "READY=1"
    assert re.fullmatch(r"STATUS=stats: \d+ xacts/s, \d+ queries/s, .*, wait \d+ us", manager.next())
    pooler.stop()


def test_the_watchdog_is_fed(pgweir, manager):
    pgweir(environment={**manager.environment, "WATCHDOG_USEC": "1000000"})
    told = [manager.next() for _ in range(4)]
    assert told.count("WATCHDOG=1") >= 3 and told.count("READY=1") == 1


def test_a_start_that_fails_is_never_ready(pgweir, manager):
    pooler = pgweir({"unix_socket_dir": "/nowhere"}, start=False)
    ended = run(pooler.binary, pooler.ini, env={**os.environ, **manager.environment})
    assert ended.returncode == 1
    manager.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        pytest.fail(manager.next())


INHERIT = """
import os, sys
numbers = [int(number) for number in sys.argv[1].split(",")]
for place, number in enumerate(numbers):
    os.dup2(number, 3 + place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def launch_with(pooler, *sockets, **more):
    """Start with these sockets as systemd hands them over."""
    high = [fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in sockets]
    try:
        words = [sys.executable, "-c", INHERIT, ",".join(map(str, high))]
        return launch(pooler, *words, pass_fds=high, **more)
    finally:
        for number in high:
            os.close(number)


def test_inherited_sockets_are_used_instead_of_our_own(pgweir):
    own_port, tcp, unix = free_port(), socket.socket(), socket.socket(socket.AF_UNIX)
    with tcp, unix, temporary_directory("inherit") as directory:
        path = directory / ".s.PGSQL.6432"
        tcp.bind(("127.0.0.1", 0))
        unix.bind(str(path))
        path.chmod(0o777)
        tcp.listen()
        unix.listen()
        pooler = pgweir({"listen_port": own_port}, start=False)
        pooler.port = tcp.getsockname()[1]
        launch_with(pooler, tcp, unix)
        pooler.wait_for_log("WARNING sockets passed from service manager, listen_addr ignored")
        pooler.wait_for_log("WARNING sockets passed from service manager, unix_socket_dir ignored")
        assert pooler.query("SELECT 1") == [(1,)]
        assert pooler.query("SELECT 2", host=str(directory), port=6432) == [(2,)]
        assert not can_connect(own_port)
        assert not (pooler.directory / f".s.PGSQL.{own_port}").exists()
        # A new process takes over on the same sockets: nothing of them is lost.
        pooler.stop(signal.SIGTERM)
        assert path.exists()
        launch_with(pooler, tcp, unix)
        assert pooler.query("SELECT 3", host=str(directory), port=6432) == [(3,)]


def test_an_inherited_descriptor_that_does_not_listen_is_refused(pgweir):
    pooler = pgweir(start=False)
    pooler.expected_exit = 1
    with socket.socket() as idle:
        launch_with(pooler, idle, wait=False)
        assert pooler.wait() == 1
    pooler.wait_for_log(r"FATAL socket passed from service manager \(fd 3\): ")


# ---- descriptors ----


def test_the_descriptor_limit_is_raised_as_far_as_it_goes(pgweir):
    pooler = launch(pgweir(start=False), "prlimit", "--nofile=100:1500")
    limits = pathlib.Path(f"/proc/{pooler.pid}/limits").read_text()
    assert re.search(r"Max open files\s+1500\s+1500\s", limits)
    pooler.wait_for_log(r"LOG kernel file descriptor limit: 1500 \(hard: 1500\); ")
    assert "too low" not in pooler.log()


def test_a_descriptor_limit_below_the_clients_is_told(pgweir):
    pooler = launch(pgweir({"max_client_conn": 100}, start=False), "prlimit", "--nofile=90:90")
    pooler.wait_for_log(r"WARNING file descriptor limit 90 is too low for max_client_conn = 100: allow \d+")
    assert pooler.query("SELECT 1") == [(1,)]


def test_a_descriptor_limit_that_a_reload_makes_too_low_is_told(pgweir):
    pooler = launch(pgweir({"max_client_conn": 10}, start=False), "prlimit", "--nofile=90:90")
    assert "too low" not in pooler.log()
    pooler.change_config(max_client_conn=5000)
    pooler.signal(signal.SIGHUP)
    pooler.wait_for_log(r"WARNING file descriptor limit 90 is too low for max_client_conn = 5000: allow \d+")
