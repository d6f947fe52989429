"""`memvirt cache`: what is kept for the next run, how much that is, and away with it."""
