#!/bin/sh
# Makes the demo's repository: repo.sh FOLDER. One that is there already is left as it is.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repo=${1:?usage: repo.sh FOLDER}
[ ! -d "$repo/.git" ] || exit 0
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
mkdir -p "$repo"
cp -R "$here/seed/." "$repo/"
git -C "$repo" init --quiet --initial-branch=main
git -C "$repo" add --all
git -C "$repo" -c user.name=Demo -c user.email=demo@example.org commit --quiet --message "A crate with stubs"
