# SPDX-License-Identifier: ISC
"""PostgreSQL 17 and 18 behind: direct TLS that they take themselves, prepared statements, start-up parameters."""
import os
import pathlib
import shutil

import embedded
import psycopg
import pytest
from conftest import DATABASE, Unprivileged, running_cluster, temporary_directory
from helpers import server_row


@pytest.fixture(scope="session", params=[17, 18])
def newer(request, templates, authority):
    """A PostgreSQL of that version with TLS on; its certificate is for localhost."""
    home = embedded.postgres_home(request.param)
    with temporary_directory(f"pg{request.param}") as directory:
        os.chmod(directory, 0o755)
        if Unprivileged.popen:
            home = pathlib.Path(shutil.copytree(home, directory / "home", symlinks=True))
        with running_cluster(home / "bin", templates / f"newer{request.param}") as cluster:
            for name in ("server.crt", "server.key"):
                shutil.copy(authority[name], cluster.data / name)
                (cluster.data / name).chmod(0o600)
                Unprivileged.own(cluster.data / name)
            cluster.execute("ALTER SYSTEM SET ssl = on")
            cluster.restart()
            assert cluster.execute("SHOW server_version_num")[0]["server_version_num"].startswith(str(request.param))
            yield cluster


def tls_row(cluster, authority, more=""):
    return (f"host=localhost port={cluster.port} dbname={DATABASE} server_tls_sslmode=verify-full "
            f"server_tls_ca_file={authority['ca.crt']} {more}")


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_tls_is_asked_for_or_begins_at_once(pgweir, newer, authority, negotiation):
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: tls_row(newer, authority, f"server_tls_negotiation={negotiation}")})
    with pooler.connect() as client:
        assert client.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True, "TLSv1.3")
    assert [row["tls"].split("/")[0] for row in pooler.console("SHOW SERVERS")] == ["TLSv1.3"]


def test_statements_and_parameters_follow_their_client(pgweir, newer):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 2, "server_round_robin": 1}, databases={DATABASE: server_row(newer)})
    with pooler.connect(options="-c statement_timeout=4321") as one, pooler.connect() as other:
        one.execute("PREPARE p(int) AS SELECT $1 + 1")
        for number in range(6):
            assert one.execute(f"EXECUTE p({number})").fetchone() == (number + 1,)
            assert one.execute("SELECT %s::int * 2", (number,), prepare=True).fetchone() == (number * 2,)
            assert one.execute("SHOW statement_timeout").fetchone() == ("4321ms",)
            assert other.execute("SHOW statement_timeout").fetchone() == ("0",)
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            other.execute("EXECUTE p(1)")
