#!/bin/sh
# Runs buildifier with the given arguments on all Bazel files.
#
# BUILDIFIER names it. If it is empty, the one that .ci/run installs into
# .tools/ is taken, else the one on PATH. Without any, this only says so.

set -eu
cd "$(dirname "$0")/.."

for buildifier in "${BUILDIFIER:-}" .tools/node_modules/.bin/buildifier \
  buildifier; do
  if [ -n "$buildifier" ] && command -v "$buildifier" >/dev/null 2>&1; then
    break
  fi
  buildifier=
done
if [ -z "$buildifier" ]; then
  echo 'No buildifier: the Bazel files were left alone.'
  exit
fi

find . \( -name '.?*' -o -name 'bazel-*' -o -name node_modules \) -prune \
  -o -type f \( -name BUILD -o -name '*.bzl' -o -name 'WORKSPACE*' \
  -o -name MODULE.bazel \) -exec "$buildifier" "$@" {} +
