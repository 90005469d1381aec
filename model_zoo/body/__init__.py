"""Body models in SMPL's format: a free one, readers for licensed ones, kinematics, skinning and part tables.
May import numpy, scipy, torch and smplx; only `free` imports anny.
"""
