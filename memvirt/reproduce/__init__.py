"""Published numbers beside simulated ones."""
