"""Rendered clips that enter the catalog like any footage, with what is exactly in them beside. No stage.

May import `workflow` core, `model_zoo` and tools that are no stage.
"""
