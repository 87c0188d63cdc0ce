ip link add br0 type bridge
ip link set br0 up
ip tuntap add dev vnet0 mode tap
ip link set vnet0 master br0 up
