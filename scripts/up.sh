#!/usr/bin/env bash
# Starts the distributed form on this machine from local binaries: PostgreSQL, nats-server, registry, scheduler,
# telemetry and WORKERS workers (2). Where everything listens stands in target/up/env; `make down` ends it.
#
#   WORKERS=8 PORT=7878 scripts/up.sh
#
# A second one beside it takes another PORT, and folders of its own in AUTOPACK_UP, AUTOPACK_UP_DATA and AUTOPACK_UP_DB.
set -euo pipefail
cd "$(dirname "$0")/.."

WORKERS=${WORKERS:-2}
PORT=${PORT:-7878}
BIN=${AUTOPACK_BIN_DIR:-$PWD/target/debug}
UP=${AUTOPACK_UP:-$PWD/target/up}
# Data of the services: never below a repository, where a tool could take this one for the plan's.
DATA=${AUTOPACK_UP_DATA:-${XDG_STATE_HOME:-$HOME/.local/state}/autopack-up-$(printf %s "$PWD" | cksum | cut -d' ' -f1)}
# The database server refuses root, and the user that it runs as must be able to reach its folder.
DB=${AUTOPACK_UP_DB:-/var/tmp/autopack-up-$(printf %s "$PWD" | cksum | cut -d' ' -f1)}
PG_PORT=$((PORT + 10)) NATS_PORT=$((PORT + 11))

fail() {
  echo "up: $*" >&2
  exit 1
}

# listening PORT
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start NAME COMMAND...: in a session of its own, output to a file
start() {
  local name=$1
  shift
  setsid nohup "$@" >"$UP/logs/$name.log" 2>&1 </dev/null &
  echo "$! $name" >>"$UP/pids"
}

# await NAME COMMAND...: until the command succeeds; fails when the process has ended, or after 60 s
await() {
  local name=$1 pid deadline=$((SECONDS + 60))
  shift
  pid=$(awk -v name="$name" '$2 == name { print $1 }' "$UP/pids")
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
      tail -n 20 "$UP/logs/$name.log" >&2
      fail "$name did not get ready; see $UP/logs/$name.log"
    fi
    sleep 0.1
  done
}

# serve NAME PROGRAM PORT: a service of ours, with a data directory of its own
serve() {
  AUTOPACK_DATA_DIR="$DATA/$1" start "$1" "$BIN/$2" \
    --listen "127.0.0.1:$3" --metrics-listen "127.0.0.1:$(($3 + 2000))" --log-format json
}

# ready NAME PROGRAM PORT
ready() { await "$1" "$BIN/$2" healthcheck --ready --address "127.0.0.1:$3" --timeout 2; }

[ ! -f "$UP/pids" ] || fail "it was started before: make down"
ports=("$PORT" $((PORT + 1)) $((PORT + 3)) "$PG_PORT" "$NATS_PORT")
for n in $(seq "$WORKERS"); do ports+=($((PORT + 20 + n))); done
for port in "${ports[@]}"; do
  ! listening "$port" || fail "port $port is taken: choose others with PORT=N, which uses N to N+$((20 + WORKERS))"
done
for name in run-registry phase-scheduler telemetry builder-worker autopack; do
  [ -x "$BIN/$name" ] || fail "$BIN/$name is missing: cargo build --workspace --bins"
done

mkdir -p "$UP/logs"
mkdir -p "$DATA"
chmod 700 "$UP" "$DATA"
echo "$DATA" >"$UP/data"
: >"$UP/pids"
[ -s "$UP/key" ] || (umask 077 && head -c 24 /dev/urandom | base64 | tr -d '=+/' >"$UP/key")

PG=$(scripts/postgres.sh)
echo "up: PostgreSQL $("$PG/postgres" --version | awk '{ print $3 }') on 127.0.0.1:$PG_PORT"
as_owner() { (cd / && "$@"); }
if [ "$(id -u)" = 0 ]; then
  as_owner() { (cd / && runuser -u postgres -- "$@"); }
fi
if [ ! -d "$DB/data" ]; then
  mkdir -p "$DB"
  if [ "$(id -u)" = 0 ]; then chown postgres "$DB"; fi
  chmod 700 "$DB"
  as_owner "$PG/initdb" -D "$DB/data" -U autopack -A trust -E UTF8 --locale=C >"$UP/logs/initdb.log" 2>&1 ||
    fail "initdb failed; see $UP/logs/initdb.log"
fi
as_owner "$PG/pg_ctl" -D "$DB/data" -w -l "$DB/log" \
  -o "-c listen_addresses=127.0.0.1 -p $PG_PORT -k $DB" start >"$UP/logs/pg_ctl.log" 2>&1 ||
  fail "PostgreSQL did not start; see $DB/log"
echo "$PG $DB" >"$UP/postgres"
"$PG/createdb" -h 127.0.0.1 -p $PG_PORT -U autopack autopack 2>/dev/null || true

echo "up: $(target/tools/nats/bin/nats-server --version) on 127.0.0.1:$NATS_PORT"
start nats target/tools/nats/bin/nats-server -a 127.0.0.1 -p $NATS_PORT -js -sd "$UP/nats"
await nats listening $NATS_PORT

cat >"$UP/env" <<EOF
export AUTOPACK_REGISTRY=http://127.0.0.1:$PORT
export AUTOPACK_SCHEDULER=http://127.0.0.1:$((PORT + 1))
export AUTOPACK_API_KEY_FILE=$UP/key
EOF
# shellcheck source=/dev/null
. "$UP/env"
export AUTOPACK_BUS=nats://127.0.0.1:$NATS_PORT
export OTEL_EXPORTER_OTLP_ENDPOINT=${OTEL_EXPORTER_OTLP_ENDPOINT:-}

echo "up: registry, scheduler, telemetry, $WORKERS workers from $PORT on"
DATABASE_URL=postgres://autopack@127.0.0.1:$PG_PORT/autopack serve registry run-registry "$PORT"
serve scheduler phase-scheduler $((PORT + 1))
serve telemetry telemetry $((PORT + 3))
for n in $(seq "$WORKERS"); do serve "worker-$n" builder-worker $((PORT + 20 + n)); done
ready registry run-registry "$PORT"
ready scheduler phase-scheduler $((PORT + 1))
ready telemetry telemetry $((PORT + 3))
for n in $(seq "$WORKERS"); do ready "worker-$n" builder-worker $((PORT + 20 + n)); done

cat <<EOF
up: ready. Logs are in $UP/logs.

  . $UP/env                     # where the registry is, and the key
  $BIN/autopack submit PLAN --repo DIR
  $BIN/autopack watch RUN
  make down
EOF
