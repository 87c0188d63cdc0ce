ip link add br0 type bridge
ip link set br0 up
