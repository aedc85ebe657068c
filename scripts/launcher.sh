#!/bin/sh
# Mirage @VERSION@ for @TARGET@ in one file: this script, and after it a tar.gz of
# Deno, the program and its data. The first start unpacks that into the user's cache, into a folder
# named by its contents; later starts run what is there. What it needs is sh, tar, gzip, and a GPU's
# driver.

set -eu

fail() {
  printf '%s\n' "Cannot start Mirage: $*" >&2
  exit 1
}

# A folder gets its name only when it is whole: what a start that was cut off left is never run.
unpack() {
  mkdir -p "$cache" 2>/dev/null ||
    fail "the folder $cache cannot be made; set XDG_CACHE_HOME to a folder of your own"
  # The name of a part ends in its machine and its process; without the process it is rubbish.
  machine=$(uname -n)
  for left in "$cache"/*.part."$machine".*; do
    kill -0 "${left##*.}" 2>/dev/null || rm -rf "$left"
  done
  part=$here.part.$machine.$$
  trap 'rm -rf "$part"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  said=$({ mkdir "$part" && tail -n +@LINES@ "$0" | tar -xzmof - -C "$part"; } 2>&1) ||
    fail "it does not unpack into $cache ($(last "$said")); free some space there, or copy the file anew"
  said=$("$part/deno" --version 2>&1) ||
    fail "its Deno for @TARGET@ does not run from $cache ($(last "$said")); use a file packed on a system like this one, or set XDG_CACHE_HOME to a folder that programs may run from"
  mv "$part" "$here" 2>/dev/null || [ -x "$here/deno" ] ||
    fail "the folder $here cannot be made; remove what is in its place"
  # Where another start came first, the part was moved into its folder.
  rm -rf "$part" "$here/${part##*/}"
  trap - EXIT HUP INT TERM
}

last() {
  printf '%s\n' "$1" | tail -n 1
}

cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
[ -n "$cache" ] || fail 'neither HOME nor XDG_CACHE_HOME is set; set one to a folder of your own'
cache=$cache/mirage
here=$cache/@HASH@
[ -x "$here/deno" ] || unpack

if [ "$(uname -s)" = Linux ]; then
  # Without Vulkan, Deno would quietly take OpenGL; without a runtime folder, Mesa grumbles.
  export DENO_WEBGPU_BACKEND="${DENO_WEBGPU_BACKEND:-vulkan}"
  [ -d "${XDG_RUNTIME_DIR-}" ] || export XDG_RUNTIME_DIR="${TMPDIR:-/tmp}"
fi
# Left by whatever task runner is above; here, paths start from the current folder.
unset INIT_CWD
export DENO_DIR="$here/deno_dir" DENO_NO_UPDATE_CHECK=1

# The network is for downloading the data sets only.
case ${1-} in
  data) net=--allow-net=@HOSTS@ ;;
  *) net=--deny-net ;;
esac
set -- "$here/mirage.js" "$@"
# A sweep starts a process a row, and reads what a scheduler calls its row.
case ${2-} in
  sweep) set -- --allow-run="$here/deno" --allow-env=@SCHEDULERS@ "$@" ;;
esac
exec "$here/deno" run --quiet --no-config --no-lock --no-remote --no-npm --no-prompt \
  @PERMISSIONS@ "$net" "$@"
