"""Sample: videos from the trained model.

May import `workflow` and `model_zoo`.
"""
