# Usage: sh system.sh STATE BASE PROJECT PROGRAM [WORD...], as root in namespaces of its own. Runs PROGRAM on a copy of the root
# file system BASE: what it writes is in STATE, and there again the next time. PROJECT, to be read, and STATE/out (as /out) are the real ones.
set -e
state=$1 base=$2 project=$3
shift 3
root=$state/root
mkdir -p "$state/upper" "$state/work" "$state/out" "$root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$state/upper,workdir=$state/work" "$root"
cd "$root"
mkdir -p proc sys run tmp out ".$project"
# The kernel is this machine's: its settings and devices are only to be read, but for those of the network namespace.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount --bind sys/devices/virtual/net sys/devices/virtual/net
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
  : >"dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm dev/net
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in net/tun kvm; do
  [ ! -e "/dev/$node" ] || { : >"dev/$node" && mount --bind "/dev/$node" "dev/$node"; }
done
: >"$state/console"
: >dev/console
mount --bind "$state/console" dev/console
mount --bind "$state/out" out
mount --bind "$project" ".$project"
mount -o remount,bind,ro ".$project"
mkdir -p before
pivot_root . before
umount -l /before
cd /
# Nor is its kernel, its clock or its log for anybody here.
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_boot,-sys_rawio,-syslog,-mknod env -i container=lxc PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
