"""Surface: depth and normals.

May import the core of `workflow` and `model_zoo`; no other stage's tools.
"""
