"""Pieces that the report's pages share: style, embedded pictures, charts, what every figure means. No stage.

May import `workflow` core and what `model_zoo` says of figures.
"""
