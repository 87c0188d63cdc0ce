ip link add virbr7 type bridge
