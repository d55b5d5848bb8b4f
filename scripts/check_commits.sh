#!/usr/bin/env bash
# Builds and tests each commit of a range, oldest first, in a working tree of its own:
#   scripts/check_commits.sh RANGE            as git takes it: origin/main.. is what is not pushed
# It stops at the first commit that fails and names it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $# -eq 1 ]] || {
  echo "usage: scripts/check_commits.sh RANGE" >&2
  exit 2
}
commits=$(git rev-list --reverse "$1")
[[ -n $commits ]] || {
  echo "check_commits.sh: no commits in $1" >&2
  exit 2
}

work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2>/dev/null || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree"

for commit in $commits; do
  title=$(git log -1 --format='%h %s' "$commit")
  echo "== $title"
  git -C "$work/tree" checkout --quiet --detach "$commit"
  if [[ ! -e $work/tree/scripts/test.sh ]]; then
    echo "nothing to build yet"
  elif ! (cd "$work/tree" && scripts/test.sh) >"$work/log" 2>&1 </dev/null; then
    cat "$work/log" >&2
    echo "check_commits.sh: fails at $title" >&2
    exit 1
  fi
done
