# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# What dev/test, dev/demo, dev/bench and .ci/run share; sourced with the top of the tree as working directory.

say() { printf '%s\n' "== $*" >&2; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The Debian packages of dev/packages that this machine lacks are installed.
install_packages() {
	command -v dpkg-query >/dev/null 2>&1 || return 0 # not Debian: configure says what is missing
	local wanted missing=() package sudo=()
	mapfile -t wanted < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' dev/packages)
	for package in "${wanted[@]}"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
			command -v "$package" >/dev/null 2>&1 || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	if ((EUID != 0)); then
		command -v sudo >/dev/null 2>&1 || die "install these as root first: apt-get install ${missing[*]}"
		sudo=(sudo)
	fi
	"${sudo[@]}" apt-get -qq update >&2 || say "apt-get update failed; trying with the lists that are here"
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}" >&2 ||
		die "could not install: ${missing[*]}"
}

# prepare_build DIRECTORY [configure arguments]: a configured build directory, made once and kept.
prepare_build() {
	local directory=$1
	shift
	[[ -x configure ]] || ./autogen.sh >&2
	if [[ ! -e $directory/config.status ]]; then
		if [[ -e config.status ]]; then
			say "the checkout was built in place, which builds elsewhere do not bear: make distclean"
			make -s distclean >&2 || die "make distclean failed"
		fi
		say "configuring $directory"
		mkdir -p "$directory"
		(cd "$directory" && ../configure -q "$@") >&2 || die "configure failed; see $directory/config.log"
	fi
}

jobs_flag() { printf -- '-j%s' "$(nproc)"; }

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The directory of initdb, pg_ctl and pgbench; the newest of those installed.
postgres_bin() {
	local found
	found=${PG_BINDIR:-$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)}
	[[ -x $found/initdb ]] || die "PostgreSQL is not installed (no initdb; PG_BINDIR names its directory); Debian package: postgresql"
	printf '%s\n' "$found"
}

# Daemons refuse root: run as user postgres then.
unprivileged() {
	if ((EUID == 0)); then
		(cd / && exec runuser -u postgres -- "$@")
	else
		"$@"
	fi
}

# start_postgres DIRECTORY PORT: a throwaway server below DIRECTORY, with its Unix socket there. Over TCP it asks for
# SCRAM passwords, over the Unix socket everybody is let in.
start_postgres() {
	local directory=$1 port=$2 bin
	bin=$(postgres_bin) || exit 1
	unprivileged "$bin/initdb" -D "$directory/data" -U postgres -A trust --no-sync >"$directory/initdb.log" 2>&1 ||
		die "initdb failed: $(tail -n 3 "$directory/initdb.log")"
	printf '%s\n' 'local all all trust' 'host all all 127.0.0.1/32 scram-sha-256' |
		unprivileged tee "$directory/data/pg_hba.conf" >/dev/null
	printf '%s\n' "port = $port" "listen_addresses = '127.0.0.1'" "unix_socket_directories = '$directory'" \
		"fsync = off" "max_connections = 100" "password_encryption = 'scram-sha-256'" |
		unprivileged tee -a "$directory/data/postgresql.conf" >/dev/null
	unprivileged "$bin/pg_ctl" -s -w -D "$directory/data" -l "$directory/postgres.log" start >/dev/null ||
		die "PostgreSQL did not start: $(tail -n 3 "$directory/postgres.log")"
}

stop_postgres() { # DIRECTORY
	local bin
	[[ -e $1/data/postmaster.pid ]] || return 0
	bin=$(postgres_bin) && unprivileged "$bin/pg_ctl" -s -w -m immediate -D "$1/data" stop >/dev/null
}

# temporary_directory NAME: one that the unprivileged user may write into.
temporary_directory() {
	local directory
	directory=$(mktemp -d "${TMPDIR:-/tmp}/pgweir-$1.XXXXXX") || exit 1
	if ((EUID == 0)); then
		chown postgres: "$directory"
	fi
	printf '%s\n' "$directory"
}

# end_process PID: SIGINT (finish), again (at once), and SIGKILL if neither helps within 5 seconds each.
end_process() {
	local pid=$1 signal i
	for signal in INT INT KILL; do
		kill "-$signal" "$pid" 2>/dev/null || break
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break 2
			sleep 0.1
		done
	done
	wait "$pid" 2>/dev/null
}
