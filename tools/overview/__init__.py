"""Overview: the front page of the report.

May import `workflow` core, `model_zoo` and `tools/page`.
"""
