"""Which points a sweep has: one file a kind of design, chosen by `plan=NAME`.

Each has one function, ``design(axes, plan)``, which gives the axes their values and says which combinations of them there
are, as a `memvirt.sweep.plan.choices.Design`. (Nothing else stands here: the files' names, `list` and `zip` among them, become
names of this module.)
"""
