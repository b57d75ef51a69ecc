# SPDX-License-Identifier: ISC
"""The same extended-protocol messages, at random, directly to PostgreSQL and through pgweir in transaction mode: every
answer must be the same.

A program is a list of batches; a batch is what one of several clients sends at once before it reads all answers to it.
Clients share servers, which change between transactions, and share the texts of their statements. Programs are made
from a seed and run one after the other for a bounded time. A program that finds a difference is cut down to the
messages that matter before it is shown.

DIFFERENTIAL_SECONDS   how long each test goes on (5)
DIFFERENTIAL_SEED      the first seed (1)
DIFFERENTIAL_PROGRAMS  at most so many programs
"""
import os
import random
import socket
import struct
import time

import pytest
from conftest import Wire
from helpers import server_row

SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", "5"))
FIRST_SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
PROGRAMS = int(os.environ.get("DIFFERENTIAL_PROGRAMS", "1000000"))
CLIENTS, POOL = 5, 2
DIFFERENTIAL = "differential"  # database and table
SHRINK_SECONDS = 60
ANSWER_SECONDS, SHRINK_ANSWER_SECONDS = 10, 1  # a request that has no answer after so long has none at all

# ---- messages: what is sent, as it is shown ----


class Message:
    """One frontend message: its type, its bytes, and how it is shown."""

    def __init__(self, kind, body, shown):
        self.kind, self.shown = kind, shown
        self.data = Wire.message(kind, body)

    def __repr__(self):
        return self.shown


def z(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def shorten(text):
    return repr(text if len(text) < 60 else text[:30] + type(text)(b"..." if isinstance(text, bytes) else "...") + text[-10:])


def parse(name, sql, types=()):
    return Message(b"P", z(name) + z(sql) + struct.pack(f"!H{len(types)}I", len(types), *types),
                   f"Parse({shorten(name)}, {shorten(sql)}{', ' + repr(list(types)) if types else ''})")


def bind(portal, name, values):
    body = z(portal) + z(name) + struct.pack("!HH", 0, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value.encode()
    return Message(b"B", body + struct.pack("!H", 0), f"Bind({shorten(portal)}, {shorten(name)}, {values})")


def describe(kind, name):
    return Message(b"D", kind + z(name), f"Describe({kind.decode()}, {shorten(name)})")


def close(kind, name):
    return Message(b"C", kind + z(name), f"Close({kind.decode()}, {shorten(name)})")


def execute(portal, rows=0):
    return Message(b"E", z(portal) + struct.pack("!I", rows), f"Execute({shorten(portal)}{', ' + str(rows) if rows else ''})")


def query(sql):
    return Message(b"Q", z(sql), f"Query({shorten(sql)})")


SYNC = Message(b"S", b"", "Sync")
FLUSH = Message(b"H", b"", "Flush")


class Limit:
    """In the place of a batch: max_prepared_statements is set."""

    def __init__(self, limit):
        self.limit = limit

    def __repr__(self):
        return f"max_prepared_statements = {self.limit}"


# ---- programs ----

PLAIN = [  # text, how many parameters
    ("SELECT 1", 0),
    ("SELECT 'one'", 0),
    ("SELECT 1 AS a, 2 AS b, 'three'::text AS c", 0),
    ("SELECT $1", 1),
    ("SELECT $1::int + 1", 1),
    ("SELECT $1::text, $2::int", 2),
    ("SELECT g FROM generate_series(1, 5) g", 0),
    ("SELECT g, $1::text FROM generate_series(1, 3) g", 1),
    ("SELECT a FROM differential ORDER BY a", 0),
    ("SELECT a FROM differential WHERE a = $1", 1),
    ("UPDATE differential SET a = a WHERE false", 0),
    ("INSERT INTO differential SELECT $1 WHERE false RETURNING a", 1),
    ("SELECT 1/$1::int", 1),
    ("SELECT /* long */ " + " + ".join(str(n) for n in range(300)), 0),
]
CONTROL = [("BEGIN", 0), ("COMMIT", 0), ("ROLLBACK", 0), ("ROLLBACK", 0), ("SAVEPOINT p", 0), ("ROLLBACK TO p", 0),
           ("RELEASE p", 0), ("SET LOCAL work_mem = '1MB'", 0)]
ODD = [
    ("", 0), ("-- nothing", 0), ("SELEC 1", 0), ("SELECT nothing FROM nowhere", 0), ("SELECT 1; SELECT 2", 0), ("SELECT 1/0", 0),
    ("COPY (SELECT g FROM generate_series(1, 3) g) TO STDOUT", 0), ("DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 4) g", 0),
    ("FETCH 2 c", 0), ("CLOSE c", 0), ("SHOW work_mem", 0), ("EXPLAIN (COSTS off) SELECT 1", 0), ("SELECT $1 + $2", 2),
]
DROPPING = [("DEALLOCATE ALL", 0), ("DISCARD ALL", 0), ("/* all of /* them */ */ deallocate  Prepare all", 0), ("DISCARD PLANS", 0)]
SIMPLE = ["SELECT 'simple'", "BEGIN", "BEGIN", "COMMIT", "ROLLBACK", "ROLLBACK", "SELECT 1/0", "SELECT 1; SELECT 2", "SELEC", "",
          "DEALLOCATE ALL", "DISCARD ALL", "SELECT 1; DEALLOCATE ALL", "DEALLOCATE ALL; SELECT 1/0", "BEGIN; SELECT 1", "SELECT 1; COMMIT",
          "COPY (SELECT 1) TO STDOUT", "SELECT g FROM generate_series(1, 50) g", "DEALLOCATE nobodys"]
BY_SQL = ["PREPARE {n} AS {text}", "PREPARE {n}(int) AS SELECT $1 + 1", "PREPARE {n}(text, int) AS SELECT $1, $2", "EXECUTE {n}", "EXECUTE {n}",
          "EXECUTE {n}", "EXECUTE {n}(7)", "EXECUTE {n}('x', 7)", "EXPLAIN (COSTS off) EXECUTE {n}", "DEALLOCATE {n}", "DEALLOCATE PREPARE {n}",
          "/* {n} */ EXECUTE {n} -- {n}", "PREPARE {n} AS SELECT nothing"]
BY_SQL_ONLY_SIMPLE = ["PREPARE {n} AS {text}; EXECUTE {n}", "EXECUTE {n}; EXECUTE {m}", "DEALLOCATE {n}; PREPARE {n} AS {text}; EXECUTE {n}; EXECUTE {m}",
                      "PREPARE {n} AS {text}; PREPARE {m} AS {text}; DEALLOCATE {n}; EXECUTE {m}", "DEALLOCATE ALL; PREPARE {n} AS {text}; EXECUTE {n}",
                      "EXECUTE {n}; SELECT 1/0; DEALLOCATE {n}", "BEGIN; PREPARE {n} AS {text}; EXECUTE {n}; ROLLBACK; EXECUTE {n}"]
LONG_NAME = "n" * 63 + "-and-more"
NAMES = ["", "", "", "s1", "s1", "s2", "s2", "s3", 'q"4', LONG_NAME]
PORTALS = ["", "", "", "", "p1", "p2"]
TYPES = [(), (), (), (), (23,), (25,), (0,), (23, 23), (1,), (99999999,)]


class Generator:
    """Makes a program from a seed. What it believes of the names' meanings need not be true: it is there so that most
    messages are of some use."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.meanings = [{} for _ in range(CLIENTS)]
        # a program's texts: few, so that clients meet
        self.texts = self.chance.sample(PLAIN, 4)
        self.drops = self.chance.choice((0, 0.02, 0.06))
        self.odds = self.chance.choice((0, 0.05, 0.2))
        self.wild = self.chance.choice((0.02, 0.1, 0.3))
        self.by_sql = self.chance.choice((0, 0.1, 0.4))

    def sql(self, forms):
        """PREPARE, EXECUTE or DEALLOCATE as SQL."""
        names = ["\"" + name.replace("\"", "\"\"") + "\"" for name in self.chance.sample([name for name in NAMES if name and name != LONG_NAME], 2)]
        text = self.chance.choice([text for text, count in self.texts if not count] or ["SELECT 1"])
        return self.chance.choice(forms).format(n=names[0], m=names[1], text=text)

    def simple(self):
        if self.chance.random() < self.by_sql:
            return self.sql(BY_SQL + BY_SQL_ONLY_SIMPLE)
        return self.chance.choice(SIMPLE)

    def text(self):
        roll = self.chance.random()
        if roll < self.drops:
            return self.chance.choice(DROPPING)
        roll -= self.drops
        if roll < self.odds:
            return self.chance.choice(ODD)
        roll -= self.odds
        return self.chance.choice(CONTROL) if roll < 0.15 else self.chance.choice(self.texts)

    def values(self, count):
        if self.chance.random() < self.wild * 0.2:
            count = self.chance.randrange(3)
        return [self.chance.choice(("0", "1", "7", "42", None, "x")[:5 if self.chance.random() > self.wild else 6])
                for _ in range(count)]

    def parse(self, client, name):
        sql, count = self.text()
        types = () if self.chance.random() > self.wild else self.chance.choice(TYPES)
        if self.by_sql and name:  # what SQL has no PREPARE for it cannot EXECUTE on another server
            (sql, count), types = self.chance.choice(self.texts), ()
        self.meanings[client][name] = count
        return parse(name, sql, types)

    def bind(self, client, portal, name):
        return bind(portal, name, self.values(self.meanings[client].get(name, 0)))

    def name(self, client, known=True):
        if known and self.meanings[client] and self.chance.random() > self.wild:
            return self.chance.choice(list(self.meanings[client]))
        return self.chance.choice(NAMES)

    def step(self, client):
        """A few messages that belong together."""
        chance, roll = self.chance, self.chance.random()
        portal = chance.choice(PORTALS)
        if chance.random() < self.by_sql:  # what its name means is looked up when it is parsed: hence at once
            self.meanings[client][""] = 0
            steps = [parse("", self.sql(BY_SQL), ())]
            if chance.random() < 0.3:
                steps += [describe(b"S", "")]
            return steps + [bind(portal, "", []), execute(portal), parse("", "SELECT 'last'")]
        if roll < 0.25:  # as a driver does who prepares
            name = self.name(client, known=False)
            steps = [close(b"S", name)] if name and chance.random() < 0.5 else []
            steps += [self.parse(client, name)]
            if chance.random() < 0.6:
                steps += [describe(b"S", name)]
            if chance.random() < 0.5:
                steps += [self.bind(client, portal, name), execute(portal)]
            return steps
        if roll < 0.6:  # as one who has prepared
            name = self.name(client)
            steps = [self.bind(client, portal, name)]
            if chance.random() < 0.4:
                steps += [describe(b"P", portal)]
            if chance.random() < 0.2:
                steps += [execute(portal, 2)]
            return steps + [execute(portal)]
        return [chance.choice((
            lambda: self.parse(client, self.name(client, known=False)), lambda: self.bind(client, portal, self.name(client)),
            lambda: describe(b"S", self.name(client)), lambda: describe(b"P", portal), lambda: close(b"S", self.name(client)),
            # PostgreSQL 15 crashes by an Execute of '' behind an EXECUTE by SQL in a failed transaction
            lambda: close(b"P", portal), lambda: execute(portal or "p1" if self.by_sql else portal), lambda: FLUSH, lambda: SYNC,
            lambda: query(self.simple()) if chance.random() < 0.5 else SYNC,
            lambda: describe(b"X", "s1") if chance.random() < self.wild else FLUSH,
            lambda: close(b"X", "s1") if chance.random() < self.wild else FLUSH,
        ))()]

    def batch(self):
        client, messages = self.chance.randrange(CLIENTS), []
        if self.chance.random() < 0.1 + self.by_sql / 2:
            return client, [query(self.simple())]
        for _ in range(self.chance.choice((1, 1, 2, 2, 3, 4, 8))):
            messages += self.step(client)
            if self.chance.random() < 0.3:
                messages.append(SYNC)
        if messages[-1] is not SYNC:
            messages.append(FLUSH if self.chance.random() < 0.08 else SYNC)
        return client, messages

    def program(self):
        # with little room what an open portal executes may be gone when that is described
        limits = (30, 200) if self.by_sql else (1, 1, 2, 2, 3, 5, 200)
        program = [Limit(self.chance.choice(limits))]
        for _ in range(self.chance.choice((10, 30, 60))):
            if self.chance.random() < 0.01:
                program.append(Limit(self.chance.choice(limits)))
            program.append(self.batch())
        return program


# ---- running them ----


class Difference(Exception):
    """The two sides answered differently; like says in what way, state what the console and PostgreSQL show then."""

    def __init__(self, text, *like):
        super().__init__(text)
        self.like = like
        self.state = ""


class Parted(Exception):
    """One of them failed, as it may: what follows is not the same."""


class Side:
    """A connection of one client to one of the two sides."""

    def __init__(self, target, name, patience):
        self.connection = Wire(target, timeout=ANSWER_SECONDS)
        self.connection.startup(database=DIFFERENTIAL, application_name=name)
        self.connection.socket.settimeout(patience)

    def next(self):
        """The next message that counts."""
        while True:
            kind, body = self.connection.read_message()
            if kind != b"S":
                return kind, body


def comparable(message):
    """The message without what may differ, for comparison and to be shown."""
    kind, body = message
    if kind in b"EN":
        body = body.replace(LONG_NAME.encode(), LONG_NAME[:63].encode())  # as far as PostgreSQL looks at it
        return (kind, *(f"{key}={value}" for key, value in Wire.fields(body).items() if key not in "FLRV"))
    return kind, body


def may_differ(wanted, got, by_sql):
    """What a name in the text of an EXECUTE means PostgreSQL looks up when it is executed, but what a Describe says of it is
    from when it was parsed; here it is what is executed. Where the transaction has failed and this server has not got the statement yet, it cannot get it any more: a Describe
    that PostgreSQL would answer fails. And whatever else is wrong with a request that fails, the transaction comes first."""
    if by_sql and wanted == (b"n", b"") and got[0] == b"T":
        return True
    return got[:3:2] == (b"E", "C=25P02") and wanted[0] in (b"E", b"t") and wanted != got


class Client:
    """One client on both sides. status is as PostgreSQL told it."""

    def __init__(self, pooler, postgres, number, patience):
        self.direct = Side(postgres, f"differential{number}", ANSWER_SECONDS)
        self.pooled = Side(pooler, f"differential{number}", patience)
        self.skipping = self.unsynced = False
        self.status = b"I"

    def close(self):
        self.direct.connection.close()
        self.pooled.connection.close()

    def is_linked(self):
        return self.status != b"I" or self.unsynced

    def answers_to(self, message):
        """What PostgreSQL answers to one message, after all before it."""
        if message.kind == b"H" or (self.skipping and message.kind != b"S"):
            return
        if message.kind in b"SQ":
            ends = (b"Z",)
            self.skipping = self.unsynced = False
        else:
            ends = {b"P": b"1", b"B": b"2", b"C": b"3", b"D": b"Tn", b"E": b"CIs"}[message.kind]
            ends = [ends[n:n + 1] for n in range(len(ends))] + [b"E"]
            self.unsynced = True
        while True:
            kind, body = self.direct.next()
            yield kind, body
            if kind in ends:
                break
        if kind == b"E":
            self.skipping = True
        if kind == b"Z":
            self.status = body

    def run(self, messages, cut, by_sql):
        data = b"".join(message.data for message in messages)
        self.direct.connection.send_raw(data)
        sizes = cut or [len(data)]
        sent = self.pooled.connection
        while data:
            size = sizes[0] if len(sizes) == 1 else sizes.pop()
            sent.send_raw(data[:size])
            data = data[size:]
        wanted, got = [], []
        for message in messages:
            for answer in self.answers_to(message):
                wanted.append(comparable(answer))
                try:
                    got.append(comparable(self.pooled.next()))
                except socket.timeout:
                    got.append("no answer")
                except Exception as error:  # the connection's end
                    got.append(repr(error))
                if may_differ(wanted[-1], got[-1], by_sql):
                    if wanted[-1][0] != b"E":
                        raise Parted
                elif got[-1] != wanted[-1]:
                    raise Difference(f"in the answer to {message}\nPostgreSQL: {wanted[-1]}\npgweir:     {got[-1]}\n"
                                     f"answers of this batch before: {got[:-1]}", message.kind, wanted[-1][:3:2], got[-1][:3:2])


def run(pooler, postgres, program, seed, patience=ANSWER_SECONDS):
    """Run a program; raises Difference."""
    chance = random.Random(seed)
    pooler.console("SET max_prepared_statements = 200")
    pooler.console("RECONNECT")
    by_sql = any("EXECUTE " in repr(step) for step in program)
    clients = []
    try:
        try:
            clients = [Client(pooler, postgres, number, patience) for number in range(CLIENTS)]
        except socket.timeout:
            raise Difference("no login") from None
        for step in program:
            if isinstance(step, Limit):
                pooler.console(f"SET max_prepared_statements = {step.limit}")
                continue
            number, messages = step
            client = clients[number]
            if not client.is_linked() and sum(other.is_linked() for other in clients) >= POOL:
                continue  # would wait for ever
            cut = [chance.choice((1, 3, 7, 50, 1000)) for _ in range(200)] if chance.random() < 0.1 else None
            try:
                client.run(messages, cut, by_sql)
            except Difference as difference:
                difference.state = "\n".join(str(list(row.values())) for show in ("POOLS", "SERVERS", "CLIENTS")
                                             for row in pooler.console(f"SHOW {show}"))
                difference.state += "\n" + "\n".join(str(row) for row in postgres.execute(
                    "SELECT pid, application_name, state, wait_event, query FROM pg_stat_activity WHERE application_name ~ 'differential'"))
                raise
        for number, client in enumerate(clients):
            if not client.pooled.connection.quiet(0.001):
                raise Difference(f"client {number} got more than it should: {client.pooled.connection.buffer[:200]}")
    except Parted:
        pass
    finally:
        for client in clients:
            client.close()


def shrink(pooler, postgres, program, seed, first):
    """Take away what does not matter to a Difference; answers the program and its Difference."""
    def fails(attempt):
        try:
            run(pooler, postgres, attempt, seed, SHRINK_ANSWER_SECONDS)
        except Difference as difference:
            if "no answer" in str(difference):  # what hangs must not disturb the next attempt
                pooler.process.kill()
                pooler.wait()
                pooler.start()
            return difference if difference.like == first.like else None
        return None

    def without(program, at, size):
        return program[:at] + program[at + size:]

    difference, end = None, time.monotonic() + SHRINK_SECONDS
    size = max(1, len(program) // 2)
    while size:
        at = 0
        while at < len(program) and time.monotonic() < end:
            found = fails(without(program, at, size))
            if found:
                program, difference = without(program, at, size), found
            else:
                at += size
        size //= 2
    again = True
    while again and time.monotonic() < end:
        again = False
        for at, step in enumerate(program):
            if isinstance(step, Limit):
                continue
            n = 0
            while n < len(step[1]) - 1 and time.monotonic() < end:
                shorter = program[:at] + [(step[0], without(step[1], n, 1))] + program[at + 1:]
                found = fails(shorter)
                if found:
                    program, step, difference, again = shorter, shorter[at], found, True
                else:
                    n += 1
    return program, difference


def show(program):
    return "\n".join(f"  {step}" if isinstance(step, Limit) else f"  client {step[0]}: {', '.join(map(repr, step[1]))}" for step in program)


def make_database(postgres):
    """Clients that share a statement use it more often, so that PostgreSQL goes over to a generic plan, and finds an error
    of the values only when that is executed: here it does not."""
    if not postgres.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DIFFERENTIAL,)):
        postgres.execute(f"CREATE DATABASE {DIFFERENTIAL}")
        postgres.execute(f"ALTER DATABASE {DIFFERENTIAL} SET plan_cache_mode = force_custom_plan")
        postgres.execute(f"CREATE TABLE {DIFFERENTIAL} AS VALUES (1), (7), (42)", db=DIFFERENTIAL)
        postgres.execute(f"ALTER TABLE {DIFFERENTIAL} RENAME column1 TO a; GRANT ALL ON {DIFFERENTIAL} TO PUBLIC", db=DIFFERENTIAL)


@pytest.mark.parametrize("round_robin", [1, 0], ids=["round-robin", "last-used"])
def test_answers_are_those_of_postgresql(pgweir, postgres, round_robin):
    make_database(postgres)
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": POOL, "server_round_robin": round_robin, "log_connections": 0,
                     "log_disconnections": 0}, databases={DIFFERENTIAL: server_row(postgres, dbname=DIFFERENTIAL)})
    end, seed, done = time.monotonic() + SECONDS, FIRST_SEED, 0
    while done < PROGRAMS and (time.monotonic() < end or not done):
        program = Generator(seed).program()
        try:
            run(pooler, postgres, program, seed)
        except Difference as difference:
            print(f"seed {seed}: {difference}\n{difference.state}")
            shorter, again = shrink(pooler, postgres, program, seed, difference)
            pytest.fail(f"seed {seed}:\n{show(shorter)}\n{again or 'only in the whole program: ' + str(difference)}")
        seed += 1
        done += 1
    print(f"{done} programs")
