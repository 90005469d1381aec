"""Rendered people with exact truth: dressed bodies, motion, cameras, scenes, light, and a CPU renderer.

World frame: m, y up, the ground is y = 0; a body at rest stands facing +z. Camera frame: x right, y down, z forward.
May import numpy, scipy, numba and model_zoo; nothing of the pipeline, no paths.
"""
