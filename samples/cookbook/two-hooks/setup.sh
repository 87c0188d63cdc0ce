hooks=$ACTUALNET_ROOT/etc/libvirt/hooks
mkdir -p "$hooks/qemu.d"
printf '#!/bin/sh\nlogger "$1 $2"\n' >"$hooks/qemu.d/20-log"
chmod 755 "$hooks/qemu.d/20-log"
here=$(pwd)/../../..
program=$here/dist/hook.cjs
sed "s|^node=.*|node='$(command -v node)'|; s|^program=\$|program='$program'|" "$here/hooks/qemu" >"$hooks/qemu.d/50-actualnet"
chmod 755 "$hooks/qemu.d/50-actualnet"
