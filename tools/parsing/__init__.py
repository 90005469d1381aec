"""Parsing: the subject's matte and part labels.

May import the core of `workflow` and `model_zoo`; no other stage's tools.
"""
