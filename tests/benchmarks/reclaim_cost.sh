#!/bin/bash
# Measures what reclaiming a page takes of a CPU, on this kernel: reclaim_cost.sh [MIB] [RUNS] > reclaim_cost.csv
# Needs root, gcc, a cgroup v1 memory controller, room for 5 x MIB in the folder where it is called, and no zram0 in use. Puts the machine back as it was.
set -eu
mib=${1:-128}; runs=${2:-11}; here=$(cd "$(dirname "$0")" && pwd); work=$(mktemp -d -p .); zram=/sys/block/zram0
if [ -e $zram ] && [ "$(cat $zram/disksize)" != 0 ]; then echo "reclaim_cost: /dev/zram0 is in use" >&2; exit 2; fi
group=/sys/fs/cgroup/memory/reclaim_cost_$$; mkdir "$group"; cluster=$(cat /proc/sys/vm/page-cluster); echo 0 >/proc/sys/vm/page-cluster
clean() {
  swapoff "$work/swap" 2>/dev/null || true
  if [ -e $zram ]; then swapoff /dev/zram0 2>/dev/null || true; echo 1 >$zram/reset; fi
  echo "$cluster" >/proc/sys/vm/page-cluster; rmdir "$group"; rm -rf "$work"
}
trap clean EXIT
gcc -O2 -o "$work/reclaim_cost" "$here/reclaim_cost.c"
dd if=/dev/urandom of="$work/data" bs=1M count="$mib" status=none; sync "$work/data"
echo "swap,kind,pages,cpu_ns,wall_ns,written"
"$work/reclaim_cost" "$group" file "$mib" "$runs" "$work/data" | sed 's/^/none,/'
fallocate -l $((mib * 4))M "$work/swap"; chmod 600 "$work/swap"; mkswap -q "$work/swap"; swapon "$work/swap"
for kind in dirty clean; do "$work/reclaim_cost" "$group" $kind "$mib" "$runs" | sed 's/^/file,/'; done
swapoff "$work/swap"
[ -e $zram ] || exit 0
for way in lzo-rle lz4; do
  echo 1 >$zram/reset; echo $way >$zram/comp_algorithm; echo $((mib * 4))M >$zram/disksize; mkswap -q /dev/zram0; swapon /dev/zram0
  "$work/reclaim_cost" "$group" dirty "$mib" "$runs" | sed "s/^/zram-$way,/"
  swapoff /dev/zram0
done
