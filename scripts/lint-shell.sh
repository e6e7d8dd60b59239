#!/usr/bin/env bash
# Lints the shell scripts, where shellcheck is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts=()
while IFS= read -r file; do
  scripts+=("$file")
done < <(find scripts .ci examples -type f \( -name '*.sh' -o -path .ci/run \) | sort)
for script in "${scripts[@]}"; do
  bash -n "$script"
done
if command -v shellcheck >/dev/null; then
  shellcheck "${scripts[@]}"
  echo "lint-shell: ${#scripts[@]} scripts, clean"
else
  echo "lint-shell: ${#scripts[@]} scripts parse; shellcheck is not installed"
fi
