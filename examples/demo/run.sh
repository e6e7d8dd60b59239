#!/bin/sh
# The demo: a small repository made on the spot, a plan of six phases, and a gated branch at the end.
#
#   examples/demo/run.sh            a fresh folder below $TMPDIR
#   AUTOPACK_DEMO_DIR=/some/dir     keep everything there; running again continues
#
# Needs cargo and git; no network. Exit code 0 only if the branch is there and its tests pass.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

find_autopack() {
  for candidate in "${AUTOPACK:-}" "${AUTOPACK_BIN_DIR:-}/autopack" \
    "${CARGO_TARGET_DIR:-$root/target}/debug/autopack" "${CARGO_TARGET_DIR:-$root/target}/release/autopack"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && [ -f "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
  command -v autopack || {
    echo "demo: no autopack binary; build it with: cargo build -p autopack" >&2
    exit 1
  }
}
autopack=$(find_autopack)

for tool in git cargo; do
  command -v "$tool" >/dev/null || {
    echo "demo: $tool is needed" >&2
    exit 1
  }
done

# The demo is the same whatever the caller's environment says.
unset DATABASE_URL AUTONOMOUS_RUNS_DIR CI_PROFILE MAX_ATTEMPTS TESTING
unset AUTOPACK_REGISTRY AUTOPACK_DATA_DIR AUTOPACK_BUS_URL CARGO_BUILD_TARGET
export BACKOFF_SECONDS=1 GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

work=${AUTOPACK_DEMO_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/autopack-demo.XXXXXX")}
mkdir -p "$work"
work=$(cd "$work" && pwd)
repo=$work/durations
data=$work/data

echo "== a repository: $repo"
"$here/repo.sh" "$repo"
git -C "$repo" log --oneline main

echo
echo "== the plan: $here/plan.yaml"
"$autopack" plan validate "$here/plan.yaml" --repo "$repo" --data-dir "$data"

echo
echo "== autopack run $here/plan.yaml --repo $repo --data-dir $data"
code=0
"$autopack" run "$here/plan.yaml" --repo "$repo" --data-dir "$data" --workers 2 || code=$?
if [ "$code" -ne 0 ]; then
  echo "demo: the run ended with exit code $code; see $data/runs/demo" >&2
  exit "$code"
fi

echo
echo "== the branch autonomous/demo"
git -C "$repo" log --oneline --reverse main..autonomous/demo
echo
git -C "$repo" log -1 --format=%B autonomous/demo

echo "== its tests, once more and by hand"
check=$work/check
rm -rf "$check"
git clone --quiet --branch autonomous/demo "$repo" "$check"
CARGO_TARGET_DIR=$work/check-target cargo test --quiet --offline --manifest-path "$check/Cargo.toml"
"$autopack" doctor --verify --data-dir "$data"

# Everything below $work is yours to look at; nothing else was written.
cat <<END

== done
summary          $data/runs/demo/run_summary.md
the branch       git -C $repo diff main..autonomous/demo

Next:
  $autopack status demo --data-dir $data
  $autopack attempts demo P2.2 --data-dir $data        its first attempt failed its gate
  $autopack plan explain $here/plan.yaml
  $autopack explain GATE_FAILED
END
