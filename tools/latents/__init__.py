"""Latents: what a recipe's frozen networks make of the shards.

May import `workflow` and `model_zoo`.
"""
