#!/usr/bin/env bash
# The size gate: no Rust file above 450 lines, and each opens with a `//!` header.
# Exceptions stand in scripts/long-files.txt, one path a line.
set -euo pipefail
cd "$(dirname "$0")/.."

LIMIT=450
bad=0
count=0
while IFS= read -r file; do
  count=$((count + 1))
  lines=$(wc -l <"$file")
  if [ "$lines" -gt "$LIMIT" ] && ! grep -qxF "$file" scripts/long-files.txt; then
    echo "$file has $lines lines; at most $LIMIT" >&2
    bad=1
  fi
  if ! head -n 1 "$file" | grep -q '^//! '; then
    echo "$file does not open with a //! header" >&2
    bad=1
  fi
done < <(find libs services migrations tests fuzz examples -name '*.rs' -not -path '*/target/*' | sort)
while IFS= read -r file; do
  if [ ! -f "$file" ] || [ "$(wc -l <"$file")" -le "$LIMIT" ]; then
    echo "scripts/long-files.txt names $file, which needs no exception" >&2
    bad=1
  fi
done < <(grep -v '^#' scripts/long-files.txt || true)
[ "$bad" = 0 ] && echo "lint-files: $count files, each within $LIMIT lines"
exit "$bad"
