#!/usr/bin/env bash
# Ends what scripts/up.sh started: workers first, so that they hand back what they hold. PURGE=1 removes the data too.
set -euo pipefail
cd "$(dirname "$0")/.."
UP=${AUTOPACK_UP:-$PWD/target/up}
DATA=$(cat "$UP/data" 2>/dev/null || true)

# ours PID NAME: the process is there and is still the one that was started (pids are used again)
ours() {
  case $2 in
    nats) { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -q -- "$UP/nats" ;;
    *) { tr '\0' '\n' <"/proc/$1/environ"; } 2>/dev/null | grep -qx "AUTOPACK_DATA_DIR=$DATA/$2" ;;
  esac
}

# stop PATTERN: asks those processes to end, and waits
stop() {
  local pid name deadline=$((SECONDS + 60))
  while read -r pid name; do
    # shellcheck disable=SC2053 # a pattern is meant
    if [[ $name == $1 ]] && ours "$pid" "$name"; then kill -TERM "$pid"; fi
  done <"$UP/pids"
  while read -r pid name; do
    # shellcheck disable=SC2053
    [[ $name == $1 ]] || continue
    while ours "$pid" "$name" && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
    if ours "$pid" "$name"; then
      echo "down: $name ($pid) did not end in time and is killed" >&2
      kill -KILL "$pid" 2>/dev/null || true
    fi
  done <"$UP/pids"
}

if [ -f "$UP/pids" ]; then
  for pattern in 'worker-*' telemetry scheduler registry nats; do stop "$pattern"; done
  rm -f "$UP/pids"
fi
if [ -f "$UP/postgres" ]; then
  read -r pg db <"$UP/postgres"
  as_owner() { (cd / && "$@"); }
  if [ "$(id -u)" = 0 ]; then as_owner() { (cd / && runuser -u postgres -- "$@"); }; fi
  as_owner "$pg/pg_ctl" -D "$db/data" -m fast -w stop >/dev/null 2>&1 || true
  if [ "${PURGE:-}" = 1 ]; then rm -rf "$db"; fi
  rm -f "$UP/postgres"
fi
if [ "${PURGE:-}" = 1 ]; then rm -rf "$UP" ${DATA:+"$DATA"}; fi
echo "down: everything has ended"
