ip link add br0 type bridge
ip link set br0 up
ip tuntap add dev vnet0 mode tap
ip link set vnet0 master br0 up
mkdir -p "$ACTUALNET_ROOT/run/libvirt/qemu"
cp status.xml "$ACTUALNET_ROOT/run/libvirt/qemu/web1.xml"
