"""Shards: Zarr stores written clip by clip, and their verification.

May import `workflow` core and `model_zoo`.
"""
