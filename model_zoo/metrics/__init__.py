"""Measures as the field defines them: pure functions of arrays, truth against estimate, or an estimate alone.

May import numpy and scipy; nothing of the pipeline.
"""
