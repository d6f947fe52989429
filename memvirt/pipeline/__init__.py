"""A point's way through the rooms: what it is, which stages it is laid out as, and running one."""
