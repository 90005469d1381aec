"""The data stream of instant-nvr: its files and its samples, over its own data roots and over shards.

No stage: imports workflow's core and model_zoo; the export and import commands use it.
"""
