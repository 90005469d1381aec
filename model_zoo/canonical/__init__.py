"""Canonical assets of an SMPL-format body: big pose, blend-weight grids, uv grid, as instant-nvr defines them.

May import numpy and numba; nothing of the pipeline, no paths.
"""
