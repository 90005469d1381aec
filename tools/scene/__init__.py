"""Scene: the picture without the human.

May import the core of `workflow` and `model_zoo`; no other stage's tools.
"""
