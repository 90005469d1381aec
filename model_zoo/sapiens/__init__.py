"""Sapiens (Khirodkar et al., ECCV 2024) from its TorchScript checkpoints: what goes in and what comes out means.

The licence of code and weights is CC-BY-NC-4.0; nothing of either is here.
"""
