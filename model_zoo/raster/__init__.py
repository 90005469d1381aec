"""Triangle meshes to pixels on the CPU: z-buffer, per-pixel attributes, normals.

May import numpy and numba; nothing of the pipeline, no paths.
"""
