#!/usr/bin/env bash
# Lints the protobuf contract with buf, which npm installs below target/tools.
set -euo pipefail
cd "$(dirname "$0")/.."

BUF_VERSION=1.75.0
home=target/tools/buf
buf=$home/node_modules/.bin/buf
if ! command -v npm >/dev/null; then
  echo "lint-proto: skipped, npm is not installed"
  exit 0
fi
if [ "$("$buf" --version 2>/dev/null || true)" != "$BUF_VERSION" ]; then
  echo "lint-proto: installing buf $BUF_VERSION into $home"
  mkdir -p "$home"
  npm install --silent --no-fund --no-audit --no-update-notifier --prefix "$home" "@bufbuild/buf@$BUF_VERSION"
fi
(cd proto && "../$buf" lint)
echo "lint-proto: clean"
