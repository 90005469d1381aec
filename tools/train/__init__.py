"""Train: the bundled video diffusion model on windows of the shards.

May import `workflow` and `model_zoo`.
"""
