"""Sapiens on single pictures, with the command lines its users know: pose, normal, depth.

May import the core of `workflow` and `model_zoo`.
"""
