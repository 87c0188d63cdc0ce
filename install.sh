#!/bin/sh
# Installs actualnet's hooks, or removes them again. See docs/operations.md.
#
#   ./install.sh                    bundle to /usr/local/libexec/actualnet, drop-ins to /etc/libvirt/hooks/*.d, the agent's unit
#   ./install.sh --main             the same, as libvirt's main hook scripts where there are none
#   ./install.sh --hooks-dir DIR    only fill DIR (for a test host); its hooks run the bundle built in this checkout
#   ./install.sh --uninstall        remove what was installed, and nothing else (also with --hooks-dir)
#
# A manifest holds the checksum of every installed file: a file changed since is somebody's work and is left alone.
set -eu

source_dir=$(cd "$(dirname "$0")" && pwd)
libexec=/usr/local/libexec/actualnet
command_path=/usr/local/sbin/actualnet
unit=/etc/systemd/system/actualnet-agent.service
hooks_dir=
place=dropin
action=install

fail() { echo "install.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --hooks-dir) [ $# -ge 2 ] || { echo "install.sh: --hooks-dir needs a directory" >&2; exit 2; }; hooks_dir=$2; shift ;;
    --main) place=main ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done

if [ -n "$hooks_dir" ]; then
  [ "$action" = uninstall ] || mkdir -p "$hooks_dir"
  [ -d "$hooks_dir" ] || fail "there is no directory '$hooks_dir'"
  hooks_dir=$(cd "$hooks_dir" && pwd)
  manifest=$hooks_dir/.actualnet-manifest
else
  [ "$(id -u)" = 0 ] || fail "must be root to install (or use --hooks-dir DIR)"
  manifest=$libexec/manifest
fi

checksum() { sha256sum <"$1" | cut -d ' ' -f 1; }
# The checksum that was noted for a path; 'directory' for a directory that we made.
recorded() { [ ! -f "$manifest" ] || awk -v path="$1" '{ sum = $1; sub(/^[^ ]*  /, "") } $0 == path { print sum }' "$manifest"; }

# Removes one installed file if it is still as we installed it.
remove() {
  [ -e "$1" ] || return 0
  if [ "$(checksum "$1")" = "$(recorded "$1")" ]; then rm -f "$1"; else echo "left alone, it was changed: $1"; fi
}

paths() { awk -v made="$1" '($1 == "directory") == made { sub(/^[^ ]*  /, ""); print }' "$manifest"; }

uninstall() {
  [ -f "$manifest" ] || { echo "nothing is installed here"; return; }
  [ -z "$(recorded "$unit")" ] || systemctl disable --quiet --now "${unit##*/}" 2>/dev/null || :
  [ -n "$hooks_dir" ] || end_stand_in || :
  paths 0 | while read -r path; do remove "$path"; done
  directories=$(paths 1 | sort -r)
  rm -f "$manifest"
  printf '%s\n' "$directories" | while read -r path; do [ -z "$path" ] || rmdir "$path" 2>/dev/null || :; done
  [ -n "$hooks_dir" ] || reload_units
  echo "removed"
}

# Ends the process that hooks leave behind where there is no agent; says whether there was one.
end_stand_in() {
  pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' /run/actualnet/locks/.witness 2>/dev/null) && [ -n "$pid" ] || return 1
  # The number may be another's by now.
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "$libexec.* witness" && kill "$pid" || return 1
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ ! -d "/proc/$pid" ] || sleep 1; done
}

reload_units() { [ ! -d /run/systemd/system ] || systemctl daemon-reload || :; }

make_directory() {
  [ ! -d "$1" ] || return 0
  make_directory "$(dirname "$1")"
  mkdir "$1"
  printf 'directory  %s\n' "$1" >>"$new_manifest"
}

# put MODE TARGET: installs stdin; refuses to replace a file that is not ours.
put() {
  if [ -e "$2" ]; then
    known=$(recorded "$2")
    [ -n "$known" ] || fail "'$2' exists and is not ours; it was left alone"
    [ "$known" = "$(checksum "$2")" ] || fail "'$2' was changed since it was installed; move it away first"
  fi
  make_directory "$(dirname "$2")"
  temporary=$2.actualnet-new
  cat >"$temporary"
  chmod "$1" "$temporary"
  mv -f "$temporary" "$2"
  printf '%s  %s\n' "$(checksum "$2")" "$2" >>"$new_manifest"
}

# Writes the manifest whatever happens. After a complete installation, files of an older one that are gone now are removed.
finish() {
  if [ -f "$manifest" ]; then
    paths 1 | sed 's/^/directory  /' >>"$new_manifest"
    paths 0 | while read -r path; do
      grep -qF "  $path" "$new_manifest" && continue
      if [ "$complete" = yes ]; then remove "$path"; else printf '%s  %s\n' "$(recorded "$path")" "$path" >>"$new_manifest"; fi
    done
  fi
  [ ! -s "$new_manifest" ] || { mkdir -p "$(dirname "$manifest")"; sort -u "$new_manifest" >"$manifest"; }
  rm -f "$new_manifest"
}

quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# The launcher with the absolute paths of Node and of the program in it.
launcher() {
  NODE_LINE="node=$(quote "$node")" PROGRAM_LINE="program=$(quote "$2")" awk '
    /^node=/ { print ENVIRON["NODE_LINE"]; next }
    /^program=$/ { print ENVIRON["PROGRAM_LINE"]; next }
    { print }' "$source_dir/hooks/$1"
}

install_hooks() {
  directory=$1 program=$2
  for driver in qemu network; do
    if [ "$place" = main ]; then target=$directory/$driver; else target=$directory/$driver.d/50-actualnet; fi
    launcher "$driver" "$program" | put 755 "$target"
  done
}

if [ "$action" = uninstall ]; then uninstall; exit 0; fi

node=$(command -v node) || fail "Node.js is not in PATH (20.19 or newer is needed)"
case $node in /*) ;; *) node=$(cd "$(dirname "$node")" && pwd)/$(basename "$node") ;; esac
"$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "'$node' is $("$node" --version), 20.19 or newer is needed"

cd "$source_dir"
[ -d node_modules ] || npm ci
[ -f dist/hook.cjs ] && [ -z "$(find src scripts samples package-lock.json -newer dist/hook.cjs)" ] || npm run --silent build

new_manifest=$(mktemp)
complete=no
trap finish EXIT

if [ -n "$hooks_dir" ]; then
  install_hooks "$hooks_dir" "$source_dir/dist/hook.cjs"
  complete=yes
  echo "hooks are in $hooks_dir and run the bundle in $source_dir/dist"
  exit 0
fi

# Entry points last: hooks may run meanwhile.
for file in dist/*-*.* dist/locks.node dist/hook.cjs dist/actualnet.mjs; do put 644 "$libexec/${file#dist/}" <"$file"; done
for file in schemas/*; do put 644 "$libexec/$file" <"$file"; done
printf '#!/bin/sh\nexec %s %s "$@"\n' "$(quote "$node")" "$(quote "$libexec/actualnet.mjs")" | put 755 "$command_path"
[ ! -d "${unit%/*}" ] || put 644 "$unit" <systemd/actualnet-agent.service
install_hooks /etc/libvirt/hooks "$libexec/hook.cjs"
complete=yes
reload_units
# One that runs has the files of before.
[ ! -d /run/systemd/system ] || systemctl try-restart "${unit##*/}" 2>/dev/null || :
# Running guests still need it.
if end_stand_in; then setsid "$node" "$libexec/hook.cjs" witness </dev/null >/dev/null 2>&1 & fi

echo "installed: $libexec, $command_path and the hooks in /etc/libvirt/hooks"
echo "libvirt notices its first hook only when a daemon starts. Restart, when it suits you:"
if command -v virtqemud >/dev/null 2>&1 && ! command -v libvirtd >/dev/null 2>&1; then
  echo "  systemctl restart virtqemud virtnetworkd"
else
  echo "  systemctl restart libvirtd       (with modular daemons: virtqemud virtnetworkd)"
fi
[ ! -f "$unit" ] || echo "the agent is a service of its own:  systemctl enable --now ${unit##*/}"
echo "Running guests keep running meanwhile. Nothing was restarted."
