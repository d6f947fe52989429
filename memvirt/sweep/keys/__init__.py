"""The tables of keys in docs/keys.md, made of what declares them: ``python -m memvirt.sweep.keys docs/keys.md``."""
