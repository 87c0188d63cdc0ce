. ../../card.sh
for link in br0 vnet0; do
  mkdir -p "$net/$link"
  echo 20 >"$net/$link/ifindex"
  echo 0x1003 >"$net/$link/flags"
  echo 1500 >"$net/$link/mtu"
  echo fe:54:00:57:00:01 >"$net/$link/address"
  : >"$net/$link/uevent"
done
echo 0x1 >"$net/vnet0/tun_flags"
mkdir "$net/br0/bridge" "$net/vnet0/brport" "$net/$dev/brport"
for port in vnet0 "$dev"; do
  ln -s ../br0 "$net/$port/master"
  ln -s ../br0 "$net/$port/upper_br0"
  ln -s "../$port" "$net/br0/lower_$port"
  for flag in learning unicast_flood isolated; do echo 1 >"$net/$port/brport/$flag"; done
done
printf '#!/bin/sh\nwhile read -r line; do case $line in *show*) echo "[]" ;; esac; done\n' >"$ACTUALNET_ROOT/bin/bridge"
chmod +x "$ACTUALNET_ROOT/bin/bridge"
