ip link add br7 type bridge
ip link set br7 up
