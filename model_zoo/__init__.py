"""Networks and body models: what they are, not where their files lie or who runs them.
May import torch, numpy and the packages of a model; nothing of this project outside this folder.
"""
