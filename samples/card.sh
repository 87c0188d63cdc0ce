# For setup.sh of samples: a PF 'ens1f0' with two VFs, made of files below this host's private root, since few machines have one.
# `ip` shows its VFs as iproute2 does, and takes whatever is set.
dev=ens1f0 pf=0000:3b:00.0
pci=$ACTUALNET_ROOT/sys/bus/pci/devices net=$ACTUALNET_ROOT/sys/class/net
rm -f "$ACTUALNET_ROOT/sys/class"
device() { # ADDRESS GROUP DRIVER LINK INDEX
  mkdir -p "$pci/$1/net/$4" "$ACTUALNET_ROOT/sys/kernel/iommu_groups/$2/devices" "$ACTUALNET_ROOT/sys/bus/pci/drivers/$3" "$net/$4"
  echo 0x020000 >"$pci/$1/class"
  echo 0 >"$pci/$1/numa_node"
  ln -s "../../../../kernel/iommu_groups/$2" "$pci/$1/iommu_group"
  ln -s "../../../../bus/pci/devices/$1" "$ACTUALNET_ROOT/sys/kernel/iommu_groups/$2/devices/$1"
  ln -s "../../drivers/$3" "$pci/$1/driver"
  ln -s "../../../bus/pci/devices/$1" "$net/$4/device"
  echo "$5" >"$net/$4/ifindex"
  echo 0x1003 >"$net/$4/flags"
  echo 1500 >"$net/$4/mtu"
  echo "02:00:00:00:3b:0$5" >"$net/$4/address"
  : >"$net/$4/uevent"
}
device "$pf" 10 ice "$dev" 2
echo 8 >"$pci/$pf/sriov_totalvfs"
for vf in 0 1; do
  device "0000:3b:01.$vf" "1$((vf + 1))" iavf "${dev}v$vf" "$((vf + 3))"
  ln -s "../0000:3b:01.$vf" "$pci/$pf/virtfn$vf"
  ln -s "../$pf" "$pci/0000:3b:01.$vf/physfn"
done
shown='{"vf":N,"link_type":"ether","address":"00:00:00:00:00:00","vlan_list":[{}],"rate":{"max_tx":0,"min_tx":0},"spoofchk":true,"link_state":"auto","trust":false}'
cat >"$ACTUALNET_ROOT/bin/ip" <<IP
#!/bin/sh
while read -r line; do
  case "\$line" in
    "link show dev $dev") echo '[{"ifname":"$dev","vfinfo_list":[$(echo "$shown" | sed s/N/0/),$(echo "$shown" | sed s/N/1/)]}]' ;;
    *show*) echo '[]' ;;
    *) echo "\$line" >>"$ACTUALNET_ROOT/was-set" ;;
  esac
done
IP
chmod +x "$ACTUALNET_ROOT/bin/ip"
