"""Keypoints: the subject's 133 whole-body joints in every frame.

May import `workflow` and `model_zoo`; never another stage's tools.
"""
