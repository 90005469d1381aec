"""Crop: the subject's window.

May import the core of `workflow` and `model_zoo`; no other stage's tools.
"""
