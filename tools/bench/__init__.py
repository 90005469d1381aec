"""Measures the product as a user runs it; nothing here is asserted in a test.

May import `workflow` and the command lines of other tools through processes only.
"""
