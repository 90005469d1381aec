"""How each stage does its work: one folder per stage, one module per backend.

May import the core of `workflow` and `model_zoo`; one stage's tools never import another's.
"""
