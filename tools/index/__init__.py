"""Index: one table over all shards.

May import `workflow` core and `model_zoo`.
"""
