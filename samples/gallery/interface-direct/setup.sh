ip link add eth0 type veth peer name far0
