"""Report: one page per shard, and the tally a run ends with.

May import `workflow` core, `model_zoo` and `tools/page`.
"""
