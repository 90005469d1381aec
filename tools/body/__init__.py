"""Backends of the body stage, and what they are made of: kinematics with derivatives, priors, solver.

May import the core of workflow and model_zoo.
"""
