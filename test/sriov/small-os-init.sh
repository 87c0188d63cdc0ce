#!/bin/busybox sh
# The whole operating system of a guest inside the machine. Every network card it finds gets an address in $subnet that ends
# with the last byte of its MAC, and then pings $peer again and again. What happens is told on the serial console:
#   guest: ready | guest: card NAME MAC DRIVER | guest: heard PEER NAME | guest: silence NAME | guest: gone NAME
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
exec >/dev/ttyS0 2>&1

while read -r module; do insmod "/modules/$module"; done </modules/order

welcome() {
  read -r mac <"/sys/class/net/$1/address"
  echo "guest: card $1 $mac $(basename "$(readlink "/sys/class/net/$1/device/driver")")"
  ip address add "$subnet.$((0x${mac##*:}))/24" dev "$1"
  ip link set "$1" up
  touch "/known/$1"
}

try() {
  if ping -q -c 1 -W 2 -I "$1" "$peer" >/dev/null 2>&1; then echo "guest: heard $peer $1"; else echo "guest: silence $1"; fi
}

echo 'guest: ready'
while sleep 1; do
  for link in /sys/class/net/*/device; do
    [ -e "$link" ] || continue
    name=${link%/device} name=${name##*/}
    [ -e "/known/$name" ] || welcome "$name"
  done
  for name in $(ls /known); do
    if [ -e "/sys/class/net/$name" ]; then try "$name"; else rm "/known/$name"; echo "guest: gone $name"; fi
  done
done
