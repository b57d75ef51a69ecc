# SPDX-License-Identifier: ISC
"""Who is known to whom: users of auth_query where no password is asked for, and members of groups, whatever their names."""
import getpass

import psycopg
import pytest
from conftest import Unprivileged, Wire, password_of
from helpers import server_row
from psycopg import sql
from test_auth import LISTED
from test_tls import client_side
from test_tls_certificates import show

# ---- methods that ask for no password ----

# One of query_user's with a secret, one who may not log in, and nobody at all.
KNOWN = {"dora": True, "group_only": False, "nobody": False}
REFUSED = {"trust": '"trust" authentication failed', "cert": "certificate authentication failed",
           "peer": "unix socket login rejected"}


@pytest.fixture
def group_only(postgres, query_user):
    postgres.execute("CREATE ROLE group_only NOLOGIN PASSWORD 'x'")
    yield
    postgres.execute("DROP ROLE group_only")


def let_in(target, user, context=None, **startup):
    """None, or (SQLSTATE, message) of the refusal."""
    with Wire(target) as connection:
        if context:
            assert connection.start_tls(context) == b"S"
        connection.startup(login=False, user=user, **startup)
        kind, body = connection.read_message()
        if kind == b"E":
            fields = connection.fields(body)
            return fields["C"], fields["M"]
        assert kind == b"R"
        connection.read_until(b"Z")
        assert connection.rows(connection.query("SELECT current_user")) == [[user.encode()]]


def without_password(ruled, authority, query_user, method, users, **config):
    """login(user): what let_in() answers for a method that asks for no password, with users of auth_query."""
    for user in users:
        authority.make(f"cert_{user}", f"/CN={user}")
        for suffix in ("crt", "key"):
            Unprivileged.own(authority[f"cert_{user}.{suffix}"])
    rule = {"trust": "host all all 127.0.0.1/32 trust", "cert": "hostssl all all 127.0.0.1/32 cert",
            "peer": "local all all peer map=m"}
    pooler = ruled(f"{rule[method]}\n", maps=f"m {getpass.getuser()} /^.*$\n", userlist=LISTED,
                   config={**client_side(authority), "auth_user": query_user, **config})
    target = str(pooler.directory / f".s.PGSQL.{pooler.port}") if method == "peer" else pooler
    return pooler, lambda user: let_in(target, user, show(authority, f"cert_{user}") if method == "cert" else None)


@pytest.mark.parametrize("ttl", [0, 60])
@pytest.mark.parametrize("method", REFUSED)
def test_auth_query_says_who_there_is(ruled, authority, query_user, group_only, method, ttl):
    """Asked once more, the answer is the same; the map takes any name for the system user who runs this."""
    pooler, login = without_password(ruled, authority, query_user, method, KNOWN, auth_query_ttl=ttl)
    for _ in range(2):
        for user, known in KNOWN.items():
            assert login(user) == (None if known else ("28000", REFUSED[method])), user
    names = {row["name"] for row in pooler.console("SHOW USERS")}
    assert {user for user in KNOWN if user in names} == {user for user, known in KNOWN.items() if known}


@pytest.mark.parametrize("method", REFUSED)
@pytest.mark.parametrize("user", ["nora", "olga"])
def test_who_needs_no_password_needs_no_secret(ruled, authority, query_user, method, user):
    """A NULL secret is that of somebody without a password, or whose has expired: of no consequence where none is asked for."""
    assert without_password(ruled, authority, query_user, method, [user])[1](user) is None


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
@pytest.mark.parametrize("user", ["nora", "olga"])
def test_without_a_secret_no_password_is_right(pgweir, query_user, user, method):
    """Of one who has none in the database, and one whose has expired; not the empty one either. Both are told what
    a stranger is told."""
    pooler = pgweir({"auth_type": method, "auth_user": query_user}, userlist=LISTED)
    told = {}
    for name in (user, "nobody"):
        with pytest.raises(psycopg.OperationalError) as caught:
            pooler.connect(user=name, password=password_of("olga"))
        told[name] = str(caught.value).partition("FATAL")[2]
        with Wire(pooler) as connection:
            connection.startup(login=False, user=name)
            asked = connection.read_message()[0]
            assert asked == b"R"
            connection.send(b"p", b"\0")
            error = connection.read_error()
            told[name] += error["C"] + error["M"]
            connection.expect_closed()
    assert told[user] == told["nobody"] and "authentication failed" in told[user]


@pytest.mark.parametrize("method", ["trust", "scram-sha-256"])
def test_who_is_listed_without_a_secret_is_asked_about(pgweir, query_user, method):
    """Whatever the list says of the name, the database knows better."""
    pooler = pgweir({"auth_type": method, "auth_user": query_user}, userlist={**LISTED, "dora": "", "nobody": ""})
    assert pooler.query("SELECT current_user", user="dora") == [("dora",)]
    with Wire(pooler) as connection:
        connection.startup(login=False, user="nobody")
        kind, body = connection.read_message()
        assert kind == (b"E" if method == "trust" else b"R")
        assert method != "trust" or connection.fields(body)["M"] == REFUSED["trust"]


def test_a_user_who_is_dropped_is_unknown_when_the_answer_has_aged(pgweir, postgres, query_user):
    pooler = pgweir({"auth_type": "trust", "auth_user": query_user, "auth_query_ttl": 0}, userlist=LISTED)
    postgres.execute("CREATE ROLE brief LOGIN PASSWORD 'x'")
    try:
        assert let_in(pooler, "brief") is None
    finally:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'brief'")
        postgres.execute("DROP ROLE brief")
    assert let_in(pooler, "brief") == ("28000", REFUSED["trust"])


# ---- groups ----

# As PostgreSQL's pg_hba.conf has them: quoted if need be, a quote doubled.
NAMES = ["plain", "two words", "Upper", "it's", 'a"quote', "back\\slash", "'\\\"'", "$1", "%s", "ünïcödé", "日本",
         "comma,name", "#hash", "+plus", "all", "n" * 63]


@pytest.fixture
def groups(postgres):
    """{group: its only member, whose name is as odd}."""
    members = {name: f"{name[:20]} member" for name in NAMES}
    quoted = [(sql.Identifier(group), sql.Identifier(user)) for group, user in members.items()]
    for group, user in quoted:
        postgres.execute(sql.SQL("CREATE ROLE {}; CREATE ROLE {} LOGIN PASSWORD 'x' IN ROLE {}").format(
            group, user, group))
    yield members
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(%s)",
                     (list(members.values()),))
    for pair in quoted:
        postgres.execute(sql.SQL("DROP ROLE {}, {}").format(*pair))


@pytest.mark.parametrize("method", ["trust", "reject"])
def test_groups_may_have_any_name(ruled, postgres, query_user, groups, method):
    """A database for each group, which only its member gets into, or is kept out of."""
    doubled = [name.replace('"', '""') for name in NAMES]
    last = "reject" if method == "trust" else "trust"
    pooler = ruled("".join(f'host db{n} +"{name}" 127.0.0.1/32 {method}\n' for n, name in enumerate(doubled)) +
                   f"host all all 127.0.0.1/32 {last}\n", userlist=LISTED, config={"auth_user": query_user},
                   databases={f"db{n}": server_row(postgres) for n in range(len(NAMES))})
    answers = {True: None, False: ("28000", "login rejected")}
    for n, group in enumerate(NAMES):
        other = groups[NAMES[n - 1]]
        assert let_in(pooler, groups[group], database=f"db{n}") == answers[method == "trust"], group
        assert let_in(pooler, other, database=f"db{n}") == answers[method == "reject"], group
    shown = [row["user_name"] for row in pooler.console("SHOW HBA")[1:-1]]
    assert len(shown) == len(NAMES) and shown[0] == "{+plain}" and shown[1] == '{"+two words"}'
    assert shown[4] == '{"+a\\"quote"}'
    assert "a rule asks for" not in pooler.log()  # each question had an answer


def test_a_quoted_plus_is_part_of_a_users_name(ruled, query_user, groups):
    """The quotes say that it is no group, as in PostgreSQL; and group and member are asked as they are written."""
    pooler = ruled('host all "+plain" 127.0.0.1/32 trust\nhost all +PLAIN,+"two  words",+upper 127.0.0.1/32 trust\n'
                   "host all all 127.0.0.1/32 reject\n", userlist=LISTED, config={"auth_user": query_user})
    for group in ("plain", "two words", "Upper"):
        assert let_in(pooler, groups[group]) == ("28000", "login rejected")


def test_the_query_for_groups_gets_names_as_parameters(ruled, query_user, groups):
    """User and group, each as it was given; what the query answers is believed, not the roles of PostgreSQL."""
    query = "SELECT $1::text, $2::text WHERE $1 = 'it''s member' AND $2 = 'back\\slash'"
    pooler = ruled('host all +"back\\slash" 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n', userlist=LISTED,
                   config={"auth_user": query_user, "auth_group_query": query})
    assert let_in(pooler, "it's member") is None
    assert let_in(pooler, groups["back\\slash"]) == ("28000", "login rejected")
