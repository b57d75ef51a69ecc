# SPDX-License-Identifier: ISC
"""Drivers of Node.js and Python in their default settings, in transaction mode: twenty clients on three servers, each of which gets its own.

The drivers come from npm into the build directory, once; drivers/package.json names them and their versions."""
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import DATABASE, TOP
from helpers import servers

HERE = pathlib.Path(__file__).parent / "drivers"
CLIENTS, SERVERS, MILLISECONDS = 20, 3, 3000


@pytest.fixture(scope="session")
def node_modules():
    """The directory with the drivers."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise RuntimeError(f"The tests of Node.js drivers need {program}. Debian packages: nodejs npm")
    directory = TOP / "build" / "drivers"
    directory.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text()
    done = directory / "installed.json"  # last of all a copy of package.json
    with open(directory / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != wanted:
            (directory / "package.json").write_text(wanted)
            got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=directory,
                                 capture_output=True, text=True, timeout=300, check=False)
            if got.returncode:
                raise RuntimeError(f"npm could not fetch the drivers that test/integration/drivers/package.json names:\n{got.stdout}{got.stderr}")
            done.write_text(wanted)
    return directory / "node_modules"


def check(pooler, command, environment):
    done = subprocess.run([*command, pooler.host, str(pooler.port), DATABASE, str(CLIENTS), str(MILLISECONDS)],
                          env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rights = json.loads(done.stdout)
    assert len(rights) == CLIENTS and min(rights) >= 10
    assert len(servers(pooler)) <= SERVERS


@pytest.mark.parametrize("limit", [3, 200])
@pytest.mark.parametrize("driver", ["node-postgres", "postgres"])
def test_twenty_clients_on_three_servers(pgweir, node_modules, driver, limit):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": SERVERS, "max_prepared_statements": limit, "max_client_conn": 100})
    check(pooler, ["node", HERE / f"{driver}.cjs"], {"NODE_PATH": str(node_modules)})


@pytest.mark.parametrize("limit", [3, 200])
def test_twenty_clients_of_asyncpg(pgweir, limit):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": SERVERS, "max_prepared_statements": limit, "max_client_conn": 100})
    check(pooler, [sys.executable, HERE / "asyncpg_clients.py"], {"PYTHONDONTWRITEBYTECODE": "1"})
