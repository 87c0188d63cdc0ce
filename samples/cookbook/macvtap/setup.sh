ip link add lower0 type bridge
