"""`memvirt completion`: a shell completes commands, groups, options and keys; nothing of the simulator is loaded for it."""
