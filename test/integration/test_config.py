# SPDX-License-Identifier: ISC
"""Where settings come from and how they are written: file, environment, command line and console; what --check-config,
--show-config and --print-config say; what a reload and SET may change."""
import os
import re
import subprocess

import psycopg
import pytest
from conftest import DATABASE, STOP_SECONDS, Unprivileged, covers, free_port, wait_until
from helpers import server_row, setting
from test_reload import hup


def ask(pooler, *arguments, environment=None, popen=None):
    """Run the binary to its end in the directory of files made with start=False."""
    return subprocess.run(
        [pooler.binary, *map(str, arguments)], cwd=pooler.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=3 * STOP_SECONDS, check=False, env={**os.environ, **(environment or {})},
        **(Unprivileged.popen if popen is None else popen))


def place(pooler, row):
    """FILE:LINE of a row of the ini."""
    return f"{pooler.ini}:{1 + pooler.ini.read_text().splitlines().index(row)}"


# ---- sources ----


def test_each_source_wins_over_those_below_also_after_a_reload(pgweir):
    pooler = pgweir({"default_pool_size": 1, "reserve_pool_size": 1, "min_pool_size": 1, "max_db_connections": 50},
                    arguments=["--set", "default_pool_size=3"],
                    environment={"PGWEIR_DEFAULT_POOL_SIZE": "2", "PGWEIR_RESERVE_POOL_SIZE": "2"})

    def values():
        return [setting(pooler, name) for name in ("default_pool_size", "reserve_pool_size", "min_pool_size", "max_db_connections")]

    assert values() == ["3", "2", "1", "50"]
    pooler.console("SET default_pool_size = 4")
    pooler.console("SET reserve_pool_size = 4")
    assert values() == ["4", "4", "1", "50"]
    pooler.change_config(default_pool_size=9, reserve_pool_size=None, min_pool_size=None, max_db_connections=60)
    pooler.reload()
    assert values() == ["3", "2", "0", "60"]
    hup(pooler)
    assert values() == ["3", "2", "0", "60"]


def test_the_sources_decide_what_a_start_does(pgweir):
    pooler = pgweir(start=False)
    chosen = free_port()
    pooler.environment = {"PGWEIR_LISTEN_PORT": str(free_port()), "PGWEIR_JOB_NAME": "x", "PGWEIR_PORT": "tcp://10.0.0.1:1"}
    pooler.arguments = ["--set", f"listen_port={chosen}", "--set=verbose=1"]
    pooler.port = chosen
    pooler.start()
    assert pooler.query("SELECT 1") == [(1,)]
    assert " DEBUG " in pooler.log()
    # A reload neither changes it nor warns of it.
    pooler.reload()
    assert "without a restart" not in pooler.log()


@covers("conffile")
def test_the_file_may_be_named_by_the_environment_or_by_set(pgweir):
    pooler = pgweir(start=False)
    for arguments, environment in ([], {"PGWEIR_CONFFILE": str(pooler.ini)}), (["--set", f"conffile={pooler.ini}"], {}):
        shown = ask(pooler, "--show-config", *arguments, environment=environment)
        assert re.search(rf"^admin_users +\| admin +\|  +\| {re.escape(str(pooler.ini))}:\d+$", shown.stdout, re.M), shown


@pytest.mark.parametrize("arguments,environment,complaint", [
    (["--set", "listen_prot=1"], {}, '--set listen_prot: unknown parameter "listen_prot"; did you mean "listen_port"?'),
    (["--set", "listen_port"], {}, '--set takes name=value, not "listen_port"'),
    (["--set", "listen_port=x"], {}, '--set listen_port: invalid value "x" for parameter listen_port: allowed is 0 to 65535'),
    ([], {"PGWEIR_LISTEN_PROT": "1"}, 'environment variable PGWEIR_LISTEN_PROT: unknown parameter "listen_prot"; did you mean "listen_port"?'),
    ([], {"PGWEIR_POOL_MODE": "some"}, 'environment variable PGWEIR_POOL_MODE: invalid value "some" for parameter pool_mode: allowed is '
     'session, transaction or statement'),
    (["--set"], {}, 'option "--set" needs a value'),
])
def test_a_wrong_option_or_variable_stops_the_start(pgweir, arguments, environment, complaint):
    pooler = pgweir(start=False)
    ended = ask(pooler, *arguments, *([pooler.ini] if arguments != ["--set"] else []), environment=environment)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[0].startswith(f"pgweir: {complaint}"), ended.stderr
    assert len(ended.stderr.splitlines()) == 1


# ---- values ----

# (name of a setting, key of a row of [databases], key of a row of [users], good values with what SHOW says, bad values)
TIMES = ({"1.5": "1.5", "500ms": "0.5", "30s": "30", "5min": "300", "1h": "3600", "1 d": "86400", "0": "0", "007": "7",
          "2147483647": "2147483647"}, ("-1", "1.5x", "5 minutes", "2147483648", "junk", "", "ms", "1,5", "1s2", "inf", "nan", "--1", "1e400"))
INTEGERS = ({"0": "0", "12": "12", "0x10": "16", "010": "8", "2147483647": "2147483647"},
            ("-1", "2147483648", "99999999999999999999", "1.5", "10s", "0x", "08", "junk", "", "1 2"))
SIZES = ({"2048": "2048", "0x1000": "4096", "64kB": "65536", "1MB": "1048576", "1 GB": "1073741824", "4096B": "4096"},
         ("-1", "1kb", "1.5kB", "1023", "2GB", "3TB", "junk", ""))
MODES = ({"0700": "448", "0777": "511", "0": "0", "511": "511", "0x1ff": "511"}, ("777", "-1", "01000", "0888", "rwx", ""))
BOOLEANS = ({"1": "1", "0": "0", "on": "1", "Off": "0", "yes": "1", "no": "0", "TRUE": "1", "false": "0"}, ("2", "-1", "maybe", "", "o"))
WORDS = ({"session": "session", "TRANSACTION": "transaction", "Statement": "statement"}, ("sessions", "", "0", "trans action"))
MILLISECONDS = ({"1500": "1500", "1.5s": "1500", "2min": "120000", "0x10": "16"}, ("-1", "2147483648", "1parsec", ""))
SECONDS = ({"30": "30", "5min": "300", "0x10": "16", "1500s": "1500"}, ("-1", "1.5", "500ms", "32768", "junk", ""))

TLS_MODES = ({"prefer": "prefer", "DISABLE": "disable", "Allow": "allow", "require": "require"}, ("on", "verify", "", "1"))
METHODS = ({"trust": "trust", "MD5": "md5", "plain": "plain", "any": "any", "scram-sha-256": "scram-sha-256"}, ("scram", "peer", "password", "", "0"))

KINDS = [
    ("query_wait_timeout", "query_wait_timeout", "query_wait_timeout", TIMES),
    ("default_pool_size", "pool_size", "pool_size", INTEGERS),
    ("max_packet_size", None, None, SIZES),
    ("unix_socket_mode", None, None, MODES),
    ("log_stats", None, None, BOOLEANS),
    ("pool_mode", "pool_mode", "pool_mode", WORDS),
    ("server_tls_sslmode", "server_tls_sslmode", None, TLS_MODES),
    ("auth_type", "auth_type", "auth_type", METHODS),
    ("tcp_user_timeout", None, None, MILLISECONDS),
    ("tcp_keepidle", None, None, SECONDS),
]


def quoted(value):
    return "'" + value.replace("'", "''") + "'"


@pytest.mark.parametrize("name,database,user,values", KINDS, ids=[kind[0] for kind in KINDS])
def test_values_are_read_alike_from_everywhere(pgweir, postgres, name, database, user, values):
    """File, environment, command line, rows and SET: the same is understood, the same is refused with what is allowed."""
    good, bad = values
    pooler = pgweir(start=False)
    variable = "PGWEIR_" + name.upper()

    def shown(*arguments, **more):
        text = ask(pooler, "--show-config", *arguments, pooler.ini, **more).stdout
        return re.search(rf"^{name} +\| (.*?) +\| ", text, re.M)[1]

    for value, meaning in good.items():
        pooler.change_config(**{name: value})
        assert shown() == meaning, value
        pooler.change_config()
    first, meaning = next(iter(good.items()))
    assert shown("--set", f"{name}={first}") == shown(environment={variable: first}) == meaning
    # All that is wrong in one file, each with its line.
    base = pooler.ini.read_text()
    lines = [f"[pgbouncer]\n{name} = {value}" for value in bad]
    for section, key in ("databases", database), ("users", user):
        lines += [f"[{section}]\nrow = {key}={quoted(value)}" for value in bad if key]
    pooler.ini.write_text(base + "\n".join(lines) + "\n")
    checked = ask(pooler, "--check-config", pooler.ini)
    assert checked.returncode == 1 and len(checked.stderr.splitlines()) == len(lines) + 1, checked.stderr
    for number, complaint in enumerate(checked.stderr.splitlines()[:-1]):
        assert f"{pooler.ini}:{base.count(chr(10)) + 2 + 2 * number}" in complaint and ": allowed is " in complaint, complaint
    pooler.ini.write_text(base)
    for value in bad:
        for ended in (ask(pooler, "--check-config", "--set", f"{name}={value}", pooler.ini),
                      ask(pooler, "--check-config", pooler.ini, environment={variable: value})):
            assert ended.returncode == 1 and ": allowed is " in ended.stderr.splitlines()[0], (value, ended)
    if name == "unix_socket_mode":
        return
    pooler.start()
    for value, meaning in good.items():
        pooler.console(f"SET {name} = {quoted(value)}")
        assert setting(pooler, name) == meaning, value
    for value in bad:
        with pytest.raises(psycopg.Error, match="SET failed") as refused:
            pooler.console(f"SET {name} = {quoted(value)}")
        assert refused.value.sqlstate == "22023" and ": allowed is " in refused.value.diag.message_detail
    assert setting(pooler, name) == meaning
    if re.fullmatch(r"\w+", first):
        pooler.console(f"SET {name} = {first}")
        assert setting(pooler, name) == good[first]


# ---- --check-config ----


def test_a_good_configuration_is_said_to_be_good(pgweir):
    pooler = pgweir(start=False)
    checked = ask(pooler, "--check-config", pooler.ini)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, f"{pooler.ini}: no mistakes\n", "")
    assert list(pooler.directory.glob(".s.PGSQL*")) == []


def test_what_the_start_would_miss_is_said_before(pgweir):
    pooler = pgweir(start=False)
    wrong = {"logfile": "/nowhere/log", "pidfile": "/nowhere/pid", "resolv_conf": "/nowhere/resolv.conf",
             "unix_socket_dir": "/nowhere", "unix_socket_group": "nobodys-group", "listen_addr": "127.0.0.1,no.such.name.invalid"}
    pooler.change_config(**wrong)
    checked = ask(pooler, "--check-config", pooler.ini)
    assert checked.returncode == 1
    for name, value in wrong.items():
        assert re.search(rf'(?m)^{re.escape(str(pooler.ini))}:\d+: {name} "{re.escape(value)}": ', checked.stderr), checked.stderr
    assert f"{pooler.ini}: {len(wrong)} mistakes" in checked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_may_check_without_a_user(pgweir):
    pooler = pgweir(start=False)
    assert ask(pooler, "--check-config", pooler.ini, popen={}).returncode == 0
    # With one it is checked whether he may read all that a reload reads.
    pooler.change_config(user=Unprivileged.name)
    assert ask(pooler, "--check-config", pooler.ini, popen={}).returncode == 0
    os.chown(pooler.userlist, 0, 0)
    os.chmod(pooler.userlist, 0o600)
    checked = ask(pooler, "--check-config", pooler.ini, popen={})
    assert checked.returncode == 1 and "userlist.txt" in checked.stderr and "Permission denied" in checked.stderr
    pooler.change_config(user="nobody-of-that-name")
    checked = ask(pooler, "--check-config", pooler.ini, popen={})
    assert checked.returncode == 1 and 'unknown user "nobody-of-that-name"' in checked.stderr


def test_a_user_that_does_not_exist_is_named_with_its_line(pgweir):
    """Also where nobody is root, who would try it."""
    pooler = pgweir({"user": "nobody-of-that-name"}, start=False)
    line = 1 + pooler.ini.read_text().splitlines().index("user = nobody-of-that-name")
    checked = ask(pooler, "--check-config", pooler.ini)
    assert checked.returncode == 1
    assert f'{pooler.ini}:{line}: user "nobody-of-that-name": there is no such user' in checked.stderr
    assert f'{pooler.ini}:{line}: unknown user "nobody-of-that-name"' in ask(pooler, pooler.ini).stderr


def test_every_mistake_is_printed_with_its_place(pgweir):
    pooler = pgweir(start=False)
    (pooler.directory / "hba.conf").write_text("local all all trust\nhost all all 1.2.3.4/99 trust\nhost all\n")
    (pooler.directory / "ident.conf").write_text("map one\n")
    pooler.userlist.write_text('"alice" "x"\nbob\n"carol" "open\n')
    pooler.change_config(auth_type="hba", auth_hba_file="hba.conf", auth_ident_file="ident.conf", listen_backlog="many", no_such_setting=1,
                         client_tls_sslmode="require", client_tls_cert_file="no.crt", client_tls_key_file="no.key",
                         server_tls_ca_file="no-ca.crt", server_tls_sslmode="verify-ca", syslog_facility="attic")
    pooler.change_config("databases", broken="port=0", tls="server_tls_sslmode=verify-full server_tls_ca_file=none.crt")
    pooler.change_config("users", bob="pool_mode=never")
    pooler.change_config("peers", x="host=a")
    pooler.ini.write_text(pooler.ini.read_text() + "%include gone.ini\n[nowhere]\n[databases\n")
    last = len(pooler.ini.read_text().splitlines())
    checked = ask(pooler, "--check-config", pooler.ini)
    assert (checked.returncode, checked.stdout) == (1, "")
    wanted = [
        (place(pooler, "listen_backlog = many"), "listen_backlog"),
        (place(pooler, "no_such_setting = 1"), "no_such_setting"),
        (place(pooler, "client_tls_cert_file = no.crt"), "no.crt"),
        (place(pooler, "server_tls_ca_file = no-ca.crt"), "no-ca.crt"),
        (place(pooler, "syslog_facility = attic"), "syslog_facility"),
        (place(pooler, "broken = port=0"), "port"),
        (place(pooler, "tls = server_tls_sslmode=verify-full server_tls_ca_file=none.crt"), "none.crt"),
        (place(pooler, "bob = pool_mode=never"), "pool_mode"),
        (place(pooler, "x = host=a"), "1 to 65535"),
        (f"{pooler.ini}:{last - 2}", "gone.ini"), (f"{pooler.ini}:{last - 1}", "nowhere"), (f"{pooler.ini}:{last}", "closing"),
        ("hba.conf:2", "1.2.3.4/99"), ("hba.conf:3", ""), ("ident.conf:1", ""), (f"{pooler.userlist}:2", ""), (f"{pooler.userlist}:3", ""),
    ]
    lines = checked.stderr.splitlines()
    for where, what in wanted:
        assert any(re.search(re.escape(where) + r"\b", line) and what in line for line in lines), (where, what, checked.stderr)
    assert lines[-1] == f"{pooler.ini}: {len(wanted)} mistakes" and len(lines) == len(wanted) + 1, checked.stderr


def test_a_file_that_cannot_be_read_at_all_is_a_mistake(pgweir):
    pooler = pgweir(start=False)
    checked = ask(pooler, "--check-config", pooler.directory / "none.ini")
    assert checked.returncode == 1 and "No such file or directory" in checked.stderr
    pooler.ini.write_text("[databases]\n")
    checked = ask(pooler, "--check-config", pooler.ini)
    assert checked.returncode == 1 and "main section missing from config file" in checked.stderr


# ---- --show-config, --print-config ----


def test_effective_values_are_shown_with_their_source_and_without_secrets(pgweir):
    pooler = pgweir({"default_pool_size": 7, "auth_ldap_options": "ldapserver=h ldapbasedn=dc=x ldapbinddn=cn=a ldapbindpasswd=ldap-secret",
                     "server_tls_key_passphrase_command": "echo pass-secret"}, start=False)
    shown = ask(pooler, "--show-config", "--set", "min_pool_size=2", "-u", Unprivileged.name, pooler.ini,
                environment={"PGWEIR_STATS_USERS": "eve"})
    assert (shown.returncode, shown.stderr) == (0, "")
    rows = {line.split("|")[0].strip(): [cell.strip() for cell in line.split("|")[1:]] for line in shown.stdout.splitlines()}
    assert rows["default_pool_size"] == ["7", "20", place(pooler, "default_pool_size = 7")]
    assert rows["min_pool_size"] == ["2", "0", "command line (--set min_pool_size)"]
    assert rows["user"] == [Unprivileged.name, "", "command line (--set user)"]
    assert rows["stats_users"] == ["eve", "", "environment variable PGWEIR_STATS_USERS"]
    assert rows["max_client_conn"] == ["100", "100", "default"]
    assert "secret" not in shown.stdout
    pooler.start()
    assert set(rows) - {"setting"} == {row["key"] for row in pooler.console("SHOW CONFIG")}
    assert not [row for row in pooler.console("SHOW CONFIG") if "secret" in row["value"]]


def test_the_printed_sample_loads_as_it_is_and_uncommented(pgweir):
    pooler = pgweir(start=False)
    sample = ask(pooler, "--print-config").stdout
    uncommented = re.sub(r"^;(\w+ =)", r"\1", sample.split("\n[databases]\n")[0], flags=re.M)
    rows = {row for row in re.findall(r"^(\w+) =", uncommented, re.M)}
    for text in sample, uncommented:
        pooler.ini.write_text(text)
        checked = ask(pooler, "--check-config", pooler.ini)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    shown = [line.split("|")[0].strip() for line in ask(pooler, "--show-config", pooler.ini).stdout.splitlines()[1:]]
    assert sorted(rows) == sorted(shown)
    for line in sample.splitlines():
        assert len(line) <= 100 or not line.startswith("; ") or " " not in line[2:], line


# ---- what a reload and SET may change ----


@covers("conffile")
def test_a_file_that_names_another_leads_there_and_a_wrong_one_changes_nothing(pgweir):
    pooler = pgweir({"default_pool_size": 5})
    other = pooler.directory / "other.ini"
    other.write_text(pooler.ini.read_text().replace("default_pool_size = 5", "default_pool_size = 6"))
    Unprivileged.own(other)
    pooler.console(f"SET conffile = '{pooler.directory}/none.ini'")
    with pytest.raises(psycopg.Error):
        pooler.reload()
    assert setting(pooler, "default_pool_size") == "5" and pooler.query("SELECT 1") == [(1,)]
    pooler.console(f"SET conffile = '{other}'")
    pooler.reload()
    assert (setting(pooler, "default_pool_size"), setting(pooler, "conffile")) == ("6", str(other))
    pooler.console("SET conffile = ''")  # is no word for the built-in configuration
    pooler.reload()
    assert (setting(pooler, "default_pool_size"), setting(pooler, "conffile")) == ("6", str(other))
    assert pooler.query("SELECT 1") == [(1,)]


def test_settings_that_need_a_restart_are_named_once_they_change(pgweir):
    pooler = pgweir()
    pooler.change_config(default_pool_size=9)
    pooler.reload()
    hup(pooler)
    assert "without a restart" not in pooler.log()
    port = free_port()
    pooler.change_config(listen_port=port, unix_socket_mode="0700", job_name="other", default_pool_size=8)
    pooler.reload()
    warnings = re.findall(r'WARNING setting "(\w+)" cannot be changed without a restart; still using "(.*)"', pooler.log())
    assert sorted(warnings) == [("job_name", "pgbouncer"), ("listen_port", str(pooler.port)), ("unix_socket_mode", "511")]
    assert setting(pooler, "default_pool_size") == "8" and setting(pooler, "listen_port") == str(pooler.port)
    # Back to what is in force: nothing to say.
    pooler.change_config(listen_port=pooler.port, unix_socket_mode=None, job_name=None)
    before = pooler.log().count("without a restart")
    pooler.reload()
    assert pooler.log().count("without a restart") == before
    pooler.change_config(listen_port=port)
    pooler.port = port
    pooler.restart()
    assert setting(pooler, "listen_port") == str(port)


def test_set_says_what_it_cannot_do(pgweir):
    pooler = pgweir()
    for row in pooler.console("SHOW CONFIG"):
        if row["changeable"] == "no":
            with pytest.raises(psycopg.Error, match="SET failed") as refused:
                pooler.console(f"SET {row['key']} = '1'")
            assert refused.value.sqlstate == "55000"
            assert refused.value.diag.message_detail == f'setting "{row["key"]}" cannot be changed without a restart'
    with pytest.raises(psycopg.Error) as refused:
        pooler.console("SET max_client_conn = 0")
    assert refused.value.diag.message_detail == 'invalid value "0" for parameter max_client_conn: allowed is 1 to 2147483647'
    with pytest.raises(psycopg.Error) as refused:
        pooler.console("SET default_pool_sise = 1")
    assert 'unknown parameter "default_pool_sise"' in refused.value.diag.message_detail


def test_relative_names_and_includes_work_in_a_check_too(pgweir, postgres):
    pooler = pgweir(start=False)
    (pooler.directory / "rows.ini").write_text(f"[databases]\nmore = {server_row(postgres)}\n")
    pooler.change_config(auth_file="userlist.txt")
    pooler.ini.write_text("%include rows.ini\n" + pooler.ini.read_text())
    assert ask(pooler, "--check-config", "pgweir.ini").returncode == 0
    pooler.start()
    assert pooler.query("SELECT current_database()", "more") == [(DATABASE,)]
    wait_until(lambda: pooler.running(), 1)
