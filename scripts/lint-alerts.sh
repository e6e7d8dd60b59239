#!/usr/bin/env bash
# Checks the alert rules and runs their tests with Prometheus's own tool.
set -euo pipefail
cd "$(dirname "$0")/../docker"

if ! command -v promtool >/dev/null; then
  echo "lint-alerts: promtool is missing: run \`make tools\`" >&2
  exit 1
fi
promtool check rules alerts.yaml >/dev/null
promtool check config prometheus.yaml >/dev/null || promtool check config prometheus.yaml
promtool test rules alerts_test.yaml >/dev/null || promtool test rules alerts_test.yaml
echo "lint-alerts: clean"
