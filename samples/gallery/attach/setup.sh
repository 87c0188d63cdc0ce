ip link add br0 type bridge
ip link set br0 up
mkdir -p "$ACTUALNET_ROOT/run/libvirt/qemu"
cp status.xml "$ACTUALNET_ROOT/run/libvirt/qemu/web1.xml"
