"""Layers: human, occluder and scene masks.

May import the core of `workflow` and `model_zoo`; no other stage's tools.
"""
