"""Which physical CPU runs which vCPU: one file a policy, one plain function each.

``assign(vcpus, nodes, cpus_per_node)`` takes the number of vCPUs of each VM and returns the physical
CPU of every vCPU, VM after VM, as an int64 array. CPUs ``n * cpus_per_node`` and on are node ``n``'s.
Where several vCPUs share a CPU they take turns of `numa.slice`.
"""

FAMILY = "memory.scheduler"
