#!/bin/sh
# PID 1 of a host: init.sh NAME DIRECTORY. Makes the namespaces' private trees, prints the PID by which the outside knows
# this process, and stays until stdin closes. The kernel then ends whatever else runs in the PID namespace; since stdin is a
# pipe from the tests, that also happens when they are killed.
set -eu
name=$1 directory=$2

read -r pid _ </proc/self/stat
mount -t proc proc /proc
# The old sysfs shows the links of the namespace it was mounted in, and its cgroup mounts would confuse libvirt.
umount --recursive --lazy /sys
mount -t sysfs sysfs /sys
# A copy of /etc, in which there can be a configuration of ours.
mkdir "$directory/all-etc"
cp -a /etc/. "$directory/all-etc"
mkdir -p "$directory/all-etc/actualnet"
mount --bind "$directory/all-etc" /etc
# What is written below /var/lib, such as the last good configuration, is the host's own, and gone with it.
mkdir "$directory/all-lib"
mount -t tmpfs tmpfs "$directory/all-lib"
mkdir "$directory/all-lib/upper" "$directory/all-lib/work"
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$directory/all-lib/upper,workdir=$directory/all-lib/work" /var/lib
rm -rf /var/lib/actualnet
for tree in etc/libvirt var/lib/libvirt var/cache/libvirt var/log; do
  mount --bind "$directory/$tree" "/$tree"
done
mount -t tmpfs tmpfs /run
hostname "$name"
ip link set lo up

echo "$pid"
# As a child, not with exec: the shell collects the processes whose parents ended.
cat >/dev/null
exit 0
