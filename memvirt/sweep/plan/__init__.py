"""From overrides to points: axes and their values, constraints, and each point's config put together without composing it anew."""
