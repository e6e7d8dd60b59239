#!/usr/bin/env bash
# Prints the folder with PostgreSQL's programs; as root on Debian or Ubuntu it installs the server where it is missing.
set -euo pipefail

found() {
  find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1
}

initdb=$(found || true)
if [ -z "$initdb" ] && command -v initdb >/dev/null; then initdb=$(command -v initdb); fi
if [ -z "$initdb" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "postgres: missing: install PostgreSQL 15 or later (Debian's package is postgresql)" >&2
    exit 1
  fi
  echo "postgres: installing the server" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  # The package would make and start a cluster of its own.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  apt-get install -y -qq --no-install-recommends postgresql >/dev/null
  initdb=$(found)
fi
dirname "$initdb"
