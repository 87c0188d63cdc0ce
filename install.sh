#!/bin/sh
# Installs actualnet's hooks, or removes them again. See docs/operations.md.
#
#   ./install.sh                    bundle to /usr/local/libexec/actualnet, drop-ins to /etc/libvirt/hooks/*.d, systemd units
#   ./install.sh --main             the same, as libvirt's main hook scripts where there are none
#   ./install.sh --hooks-dir DIR    only fill DIR (for a test host); its hooks run the bundle built in this checkout
#   ./install.sh --dry-run          say what would be done, and do nothing (also with --uninstall)
#   ./install.sh --restart          restart libvirt's daemons that run, if they have to notice the hooks; guests keep running
#   ./install.sh --uninstall        take back what is in force, then remove all that is ours (also with --hooks-dir);
#                                   refused while guests or networks run that have anything in force
#   ./install.sh --uninstall --force   take it back under them, and go on if something cannot be taken back
#   ./install.sh --uninstall --purge   remove the configuration in /etc/actualnet as well
#
# A manifest holds the checksum of every installed file: a file changed since is somebody's work and is left alone.
set -eu
# Root runs this, and with it Node and npm, which would run what some of these name.
unset CDPATH ENV BASH_ENV OPENSSL_CONF $(env | sed -n 's/^\(NODE_[A-Za-z0-9_]*\)=.*/\1/p')
umask 022

source_dir=$(cd "$(dirname "$0")" && pwd)
libexec=/usr/local/libexec/actualnet
command_path=/usr/local/sbin/actualnet
units=/etc/systemd/system
hook_names='/(qemu|network)(\.d/50-actualnet)?$'
# What hooks and commands write is below ACTUALNET_ROOT, if that is set.
state=${ACTUALNET_ROOT-}/run/actualnet
hooks_dir=
place=dropin
action=install
force=
purge=
dry=
restart=

fail() { echo "install.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --hooks-dir) [ $# -ge 2 ] || { echo "install.sh: --hooks-dir needs a directory" >&2; exit 2; }; hooks_dir=$2; shift ;;
    --main) place=main ;;
    --uninstall) action=uninstall ;;
    --force) force=yes ;;
    --purge) purge=yes ;;
    --dry-run) dry=yes ;;
    --restart) restart=yes ;;
    -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done
if [ -n "$restart" ] && { [ "$action" = uninstall ] || [ -n "$hooks_dir" ]; }; then
  echo "install.sh: --restart is for installing on this host" >&2
  exit 2
fi
if [ -n "$force$purge" ] && [ "$action" = install ]; then
  echo "install.sh: --force and --purge are for --uninstall" >&2
  exit 2
fi

# Whoever may write where hooks are, or change what leads there, runs what they like as whoever runs the hooks. Others may
# add to a directory on the way if it is sticky, as /tmp is.
refuse_writable() {
  at=$1 allowed=0
  while :; do
    set -- $(stat -c '%u %g %a' "$at")
    case " 0 $(id -u) $(stat -c %u /) " in *" $1 "*) ;; *) fail "'$at' belongs to another user (uid $1)" ;; esac
    case " 0 $(id -g) " in *" $2 "*) others=02 ;; *) others=022 ;; esac
    [ $((0$3 & others)) = 0 ] || [ $((0$3 & allowed)) != 0 ] || fail "'$at' can be written by others (mode $3)"
    [ "$at" != / ] || break
    at=$(dirname "$at") allowed=01000
  done
}

if [ -n "$hooks_dir" ]; then
  [ "$action" = uninstall ] || [ -n "$dry" ] || mkdir -p "$hooks_dir"
  [ -d "$hooks_dir" ] || fail "there is no directory '$hooks_dir'"
  hooks_dir=$(cd "$hooks_dir" && pwd -P)
  # The manifest in it says what is removed.
  for directory in "$hooks_dir" "$hooks_dir/qemu.d" "$hooks_dir/network.d"; do
    [ ! -e "$directory" ] || refuse_writable "$directory"
  done
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
  [ -f "$manifest" ] || { echo "nothing is installed here"; purge_configuration; return; }
  [ -z "$dry" ] || { say_removal; return; }
  # Hooks of another installation on this host need what is in force.
  [ -z "$hooks_dir" ] || [ ! -f "$libexec/manifest" ] || [ -n "${ACTUALNET_ROOT-}" ] || state=
  [ ! -e "$state" ] || [ -w "$state" ] || state=
  # Nothing is touched if guests or networks need it.
  [ -n "$force" ] || undo || fail "nothing was removed (see --force)"
  paths 0 | grep -E "$hook_names" | while read -r path; do remove "$path"; done
  for unit in agent boot; do
    [ -n "$(recorded "$units/actualnet-$unit.service")" ] || continue
    systemctl disable --quiet --now "actualnet-$unit.service" >/dev/null 2>&1 || :
    systemctl reset-failed "actualnet-$unit.service" >/dev/null 2>&1 || :
  done
  end_stand_in || :
  await_calls
  leftover=
  undo --force || leftover=", but not all could be undone"
  paths 0 | grep -vE "$hook_names" | while read -r path; do remove "$path"; done
  directories=$(paths 1 | sort -r)
  rm -f "$manifest"
  printf '%s\n' "$directories" | while read -r path; do [ -z "$path" ] || rmdir "$path" 2>/dev/null || :; done
  if [ -n "$state" ]; then
    root=${state%/run/actualnet}
    rm -rf "$state"
    rm -rf "$root/var/lib/actualnet"
    rm -f "$root"/var/log/actualnet.log "$root"/var/log/actualnet.log.1 "$root"/var/log/actualnet-history* "$root"/run/udev/rules.d/85-actualnet-*.rules || :
  fi
  [ -n "$hooks_dir" ] || reload_units
  purge_configuration
  echo "removed$leftover"
  [ -z "$leftover" ]
}

# What removing would do.
say_removal() {
  [ -z "$(find "$state/ledgers" "$state/shared" -type f 2>/dev/null)" ] || echo "would take back what is in force, or be refused while guests or networks need it"
  paths 0 | while read -r path; do
    [ ! -e "$path" ] || if [ "$(checksum "$path")" = "$(recorded "$path")" ]; then echo "would remove $path"; else echo "would leave alone, it was changed: $path"; fi
  done
  [ ! -e "$state" ] || echo "would remove $state"
  [ -z "$purge" ] || [ ! -e "${ACTUALNET_ROOT-}/etc/actualnet" ] || echo "would remove ${ACTUALNET_ROOT-}/etc/actualnet"
}

purge_configuration() { [ -z "$purge" ] || [ -n "$dry" ] || rm -rf "${ACTUALNET_ROOT-}/etc/actualnet"; }

# Takes back what is in force; the program is not needed where nothing is.
undo() {
  [ -n "$state" ] || return 0
  [ -n "$(find "$state/ledgers" "$state/shared" -type f 2>/dev/null)" ] || return 0
  program=$command_path
  [ -z "$hooks_dir" ] && [ -x "$program" ] || program=$source_dir/hooks/actualnet
  "$program" undo "$@"
}

# Whether it is one of ours: the number may be another's by now, and one that waits to be reaped has no words.
is_stand_in() {
  [ -n "$1" ] && grep -qzx witness "/proc/$1/cmdline" 2>/dev/null && grep -qz '/hook\.cjs$' "/proc/$1/cmdline" 2>/dev/null
}

# Ends the process that hooks leave behind where there is no agent; says whether there was one.
end_stand_in() {
  pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$state/locks/.witness" 2>/dev/null) || return 1
  is_stand_in "$pid" && kill "$pid" 2>/dev/null || return 1
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    is_stand_in "$pid" || return 0
    sleep 1
  done
  kill -KILL "$pid" 2>/dev/null || :
}

# Hooks that are at work end by themselves: none waits for longer than 20 seconds, unless it is configured so.
await_calls() {
  [ -z "$hooks_dir" ] || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    echo "$libexec/hook.cjs" | grep -alFf - /proc/[0-9]*/cmdline >/dev/null 2>&1 || return 0
    sleep 1
  done
}

reload_units() { [ ! -d /run/systemd/system ] || systemctl daemon-reload 2>/dev/null || :; }

make_directory() {
  [ -z "$dry" ] && [ ! -d "$1" ] || return 0
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
  if [ -n "$dry" ]; then
    if [ -e "$2" ] && [ "$(checksum "$2")" = "$(sha256sum | cut -d ' ' -f 1)" ]; then echo "is there already: $2"; else echo "would install $2"; fi
    return
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
  [ -z "$dry" ] || { rm -f "$new_manifest"; return; }
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
    { print }' "$source_dir/$1"
}

install_hooks() {
  directory=$1 program=$2
  for driver in qemu network; do
    if [ "$place" = main ]; then target=$directory/$driver; else target=$directory/$driver.d/50-actualnet; fi
    launcher "hooks/$driver" "$program" | put 755 "$target"
  done
}

if [ "$action" = uninstall ]; then uninstall; exit 0; fi

if [ -z "$hooks_dir" ] && [ -x /usr/lib/actualnet/maintain ]; then
  fail "a package has installed actualnet here: upgrade or remove that with the package manager"
fi
# An archive may bring its own Node.js.
PATH=$source_dir/node/bin:$PATH
node=$(command -v node) || fail "Node.js is not in PATH (20.19 or newer is needed)"
case $node in /*) ;; *) node=$(cd "$(dirname "$node")" && pwd)/$(basename "$node") ;; esac
"$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "'$node' is $("$node" --version), 20.19 or newer is needed"

cd "$source_dir"
is_built() { [ -f dist/hook.cjs ] && [ -f dist/actualnet.cjs ] && [ -f dist/locks.node ]; }
# A checkout is built where it can be and has to be. What npm has packed is built, and has no sources.
if [ -d src ] && { ! is_built || [ -n "$(find src scripts samples package-lock.json -type f -newer dist/hook.cjs)" ]; }; then
  if command -v npm >/dev/null 2>&1 && { [ -d node_modules ] || ! is_built; }; then
    [ -d node_modules ] || npm ci
    npm run --silent build
  elif is_built; then
    echo "dist is older than the sources and cannot be built here; it is installed as it is"
  fi
fi
is_built || fail "it is not built, and there is no npm to build it here: run 'npm ci && npm run build' where npm is"
"$node" -e 'require(process.argv[1])' "$source_dir/dist/locks.node" 2>/dev/null ||
  fail "dist was built for another kind of machine than $(uname -m)"

new_manifest=$(mktemp)
complete=no
trap finish EXIT

if [ -n "$hooks_dir" ]; then
  install_hooks "$hooks_dir" "$source_dir/dist/hook.cjs"
  complete=yes
  [ -n "$dry" ] || echo "hooks are in $hooks_dir and run the bundle in $source_dir/dist"
  exit 0
fi

if [ "$node" = "$source_dir/node/bin/node" ]; then
  put 755 "$libexec/node" <"$node"
  node=$libexec/node
fi
# Entry points last: hooks may run meanwhile.
for file in dist/*-*.* dist/locks.node dist/hook.cjs dist/actualnet.cjs; do put 644 "$libexec/${file#dist/}" <"$file"; done
put 755 "$libexec/install.sh" <"$source_dir/install.sh"
for file in schemas/*; do put 644 "$libexec/$file" <"$file"; done
share=/usr/local/share
put 644 "$share/man/man8/actualnet.8" <dist/man/actualnet.8
put 644 "$share/man/man5/actualnet.yaml.5" <dist/man/actualnet.yaml.5
put 644 "$share/bash-completion/completions/actualnet" <dist/completions/actualnet.bash
put 644 "$share/zsh/site-functions/_actualnet" <dist/completions/_actualnet
put 644 "$share/fish/vendor_completions.d/actualnet.fish" <dist/completions/actualnet.fish
launcher hooks/actualnet "$libexec/actualnet.cjs" | put 755 "$command_path"
if [ -d "$units" ]; then
  for unit in agent boot; do put 644 "$units/actualnet-$unit.service" <"systemd/actualnet-$unit.service"; done
fi
# What libvirt has found before, it goes on calling; what comes first, it has to look for.
had_hooks=
for hook in /etc/libvirt/hooks/qemu /etc/libvirt/hooks/network /etc/libvirt/hooks/qemu.d/* /etc/libvirt/hooks/network.d/*; do
  [ ! -x "$hook" ] || had_hooks=yes
done
install_hooks /etc/libvirt/hooks "$libexec/hook.cjs"
complete=yes
[ -z "$dry" ] || exit 0
reload_units
# One that runs has the files of before.
[ ! -d /run/systemd/system ] || systemctl try-restart actualnet-agent.service 2>/dev/null || :
# Running guests still need it.
if end_stand_in; then env -i LC_ALL=C PATH="$PATH" setsid "$node" "$libexec/hook.cjs" witness </dev/null >/dev/null 2>&1 & fi

echo "installed: $libexec, $command_path and the hooks in /etc/libvirt/hooks"
# The daemons that call hooks and run, or if none does, those that would.
daemons=
for daemon in libvirtd virtqemud virtnetworkd; do
  ! systemctl is-active --quiet "$daemon.service" 2>/dev/null || daemons="$daemons $daemon"
done
if [ -z "$daemons" ] && command -v virtqemud >/dev/null 2>&1 && ! command -v libvirtd >/dev/null 2>&1; then
  daemons=" virtqemud virtnetworkd"
fi
if [ -n "$had_hooks" ]; then
  echo "libvirt calls hooks here already, and these from now on."
elif [ -n "$restart" ]; then
  # shellcheck disable=SC2086
  systemctl restart ${daemons:-libvirtd}
  echo "restarted:${daemons:- libvirtd}"
else
  echo "libvirt notices its first hook only when a daemon starts. Restart, when it suits you:"
  echo "  systemctl restart${daemons:- libvirtd       (with modular daemons: virtqemud virtnetworkd)}"
fi
[ ! -d "$units" ] || echo "the agent is a service of its own, also after a reboot:  systemctl enable --now actualnet-agent"
[ -n "$restart" ] || echo "Running guests keep running meanwhile. Nothing was restarted."
