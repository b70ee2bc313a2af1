#!/usr/bin/env bash
# Runs a program on two ranks with OpenMPI over TCP, as on two machines: each rank in a network and with
# a host name of its own, between which a token bucket lets RATE through in each direction.
#
#   benchmarks/distributed/shaped_link.sh RATE PROGRAM [ARGUMENT...]    # 1gbit, 10gbit, or none: unshaped
#
# It needs root, Linux with network namespaces, iproute2 and OpenMPI.
set -euo pipefail

# mpirun starts the other rank's daemon by this script, as by ssh: HOST COMMAND...
if [ "${1:-}" = 10.79.0.2 ]; then
  shift
  exec ip netns exec lora_b unshare --uts sh -c "hostname rank-b; $*"
fi
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
rate=$1
shift

trap 'ip netns del lora_a 2>/dev/null; ip netns del lora_b 2>/dev/null' EXIT
ip netns add lora_a
ip netns add lora_b
ip link add end_a netns lora_a type veth peer name end_b netns lora_b
for end in a:1 b:2; do
  name=${end%:*}
  ip -n "lora_$name" link set lo up
  ip -n "lora_$name" addr add "10.79.0.${end#*:}/24" dev "end_$name"
  ip -n "lora_$name" link set "end_$name" up
  # 100 ms of queue, so that none is dropped.
  [ "$rate" = none ] ||
    tc -n "lora_$name" qdisc add dev "end_$name" root tbf rate "$rate" burst 256k latency 100ms
done
ip netns exec lora_a unshare --uts sh -c 'hostname rank-a; exec "$@"' sh \
  mpirun --allow-run-as-root -n 2 --host 10.79.0.1,10.79.0.2 --bind-to none \
  --mca plm_rsh_agent "$(realpath "$0")" --mca pml ob1 --mca btl tcp,self \
  --mca btl_tcp_if_include 10.79.0.0/24 --mca oob_tcp_if_include 10.79.0.0/24 "$@"
