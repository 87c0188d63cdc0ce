ip link add br7 type bridge
ip link set br7 up
ip tuntap add dev vnet0 mode tap
ip link set vnet0 master br7 up
