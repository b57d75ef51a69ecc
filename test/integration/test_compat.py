# SPDX-License-Identifier: ISC
"""The outside of PgBouncer as the lists in test/compat have it: names, defaults and order of settings, keys of rows, columns
of the console, texts of errors, lines of the log, options of the command line."""
import re
import subprocess
from signal import SIGHUP, SIGINT, SIGUSR1, SIGUSR2

import psycopg
import pytest
from conftest import ADMIN, TOP, Unprivileged, wait_until

LISTS = TOP / "test" / "compat"
TYPES = {"": 25, "4": 23, "8": 20, "n": 1700}
# PgBouncer wants a restart for these.
RELOADABLE_HERE = {"track_extra_parameters"}


def lines_of(name):
    lines = (LISTS / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_settings_have_pgbouncers_names_defaults_and_order(pgweir):
    """Ours stand behind them."""
    wanted = [tuple((line + "  ").split(" ", 2)) for line in lines_of("settings.txt")]
    wanted = [(name, "yes" if name in RELOADABLE_HERE else changeable, default) for name, changeable, default in wanted]
    assert len(wanted) == 100
    shown = [(row["key"], row["changeable"], row["default"] or "") for row in pgweir().console("SHOW CONFIG")]
    assert shown[:100] == [(name, changeable, default.strip()) for name, changeable, default in wanted]
    assert not {name for name, _, _ in shown[100:]} & {name for name, _, _ in wanted}


def test_rows_take_pgbouncers_keys(pgweir):
    pooler = pgweir(start=False)
    text = pooler.ini.read_text()
    for number, line in enumerate(lines_of("rows.txt")):
        section, key, value = line.split(" ", 2)
        more = "host=h " if section == "peers" else ""
        text += f"[{section}]\n{number + 1} = {more}{key}={value}\n"
    pooler.ini.write_text(text)
    checked = subprocess.run([pooler.binary, "--check-config", pooler.ini], capture_output=True, text=True, check=False,
                             cwd=pooler.directory, **Unprivileged.popen)
    mistakes = [line for line in checked.stderr.splitlines() if " WARNING " not in line]
    assert (checked.returncode, mistakes) == (0, [])


def test_a_file_with_all_that_pgbouncer_knows_is_taken_without_a_word(pgweir, authority):
    text = (LISTS / "full.ini").read_text(encoding="utf-8")
    # It is as full as the lists are.
    written = set(re.findall(r"^(\w+) =", text[text.index("[pgbouncer]"):], re.M))
    assert written == {line.split()[0] for line in lines_of("settings.txt")}
    for line in lines_of("rows.txt"):
        section, key, _ = line.split(" ", 2)
        assert re.search(rf"\b{key}=", text[text.index(f"[{section}]"):]), line
    pooler = pgweir(start=False)
    files = {"userlist.txt": '"bar" "x"\n', "hba.conf": "host all all 127.0.0.1/32 scram-sha-256\n", "ident.conf": "map root bar\n",
             "more.ini": "[databases]\nincluded = host=localhost\n", "root.crt": authority["ca.crt"].read_text(),
             "server.crt": authority["server.crt"].read_text(), "server.key": authority["server.key"].read_text(),
             "pgweir.ini": text.replace("@DIR@", str(pooler.directory)).replace("user = postgres", f"user = {Unprivileged.name}")}
    for name, content in files.items():
        (pooler.directory / name).write_text(content, encoding="utf-8")
        Unprivileged.own(pooler.directory / name)
        (pooler.directory / name).chmod(0o600)
    checked = subprocess.run([pooler.binary, "--check-config", pooler.ini], capture_output=True, text=True, check=False,
                             cwd=pooler.directory, **Unprivileged.popen)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, f"{pooler.ini}: no mistakes\n", "")


def test_the_console_has_pgbouncers_columns(pgweir):
    with pgweir().connect("pgbouncer", ADMIN) as console:
        for line in lines_of("show.txt"):
            show, *columns = line.split()
            wanted = [(name, TYPES[kind]) for name, _, kind in (column.partition(":") for column in columns)]
            cursor = console.execute(f"SHOW {show}")
            assert [(column.name, column.type_code) for column in cursor.description] == wanted, show


def literals():
    """All string literals of the program, those that stand side by side joined, printf's marks as %."""
    texts = []
    for path in sorted([*(TOP / "src").rglob("*.c"), *(TOP / "include").rglob("*.def")]):
        for run in re.findall(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', path.read_text(encoding="utf-8")):
            text = "".join(part[1:-1] for part in re.findall(r'"(?:[^"\\\n]|\\.)*"', run)).replace('\\"', '"')
            texts.append(re.sub(r"%[-.*\d]*(?:l|h|z)*[a-zA-Z]", "%", text))
    return texts


def test_texts_are_pgbouncers():
    known = literals()
    missing = [text for text in lines_of("texts.txt")
               if not text.startswith("later: ") and not any(text == one or text in one for one in known)]
    # Put together from pieces: a verb, a name of a setting.
    pieces = {"cannot pause admin db: %", "cannot disable admin db: %", "cannot reconnect admin db: %", "cannot kill admin db: %",
              "cannot wait in admin db: %", "got SIGTERM, shutting down, waiting for all clients disconnect",
              "got SIGINT, shutting down, waiting for all servers connections to be released"}
    assert set(missing) <= pieces, sorted(set(missing) - pieces)


def test_texts_put_together_are_pgbouncers(pgweir):
    pooler = pgweir()
    for command, text in (("PAUSE", "cannot pause admin db: pgbouncer"), ("DISABLE", "cannot disable admin db: pgbouncer"),
                          ("RECONNECT", "cannot reconnect admin db: pgbouncer"), ("KILL", "cannot kill admin db: pgbouncer"),
                          ("WAIT_CLOSE", "cannot wait in admin db: pgbouncer")):
        with pytest.raises(psycopg.Error) as refused:
            pooler.console(f"{command} pgbouncer")
        assert refused.value.diag.message_primary == text


def test_log_lines_are_pgbouncers(pgweir, wire):
    pooler = pgweir({"stats_period": 1})
    pooler.query("SELECT 1")
    pooler.query("SELECT 1", host=str(pooler.directory))
    with pytest.raises(psycopg.OperationalError):
        pooler.connect("none")
    wire(pooler).close()
    for command in ("RELOAD", "RECONNECT", "PAUSE test", "RESUME test"):
        pooler.console(command)
    for number, text in ((SIGHUP, "got SIGHUP"), (SIGUSR1, "got SIGUSR1"), (SIGUSR2, "got SIGUSR2")):
        pooler.signal(number)
        pooler.wait_for_log(text)
    pooler.wait_for_log(" LOG stats: ")
    wait_until(lambda: pooler.log().count("(nodb)/(nouser)") > 0)
    pooler.signal(SIGINT)
    assert pooler.wait() == 0
    before = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z]+ \[" + str(pooler.pid) + r"\] "
    log = pooler.log().splitlines()
    assert [line for line in log if not re.match(before + "(FATAL|ERROR|WARNING|LOG|DEBUG|NOISE) ", line)] == []
    missing = [line for line in lines_of("log.txt") if not any(re.fullmatch(before + line, logged) for logged in log)]
    assert missing == [], "\n".join(log)


@pytest.mark.parametrize("option", ["-d --daemon", "-q --quiet", "-R --reboot", "-u --user", "-v --verbose", "-V --version", "-h --help"])
def test_options_are_pgbouncers(binary, option):
    letter, name = option.split()
    text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^ +{letter}, {name}\b", text, re.M)
