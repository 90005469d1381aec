"""SCHP (Li et al., TPAMI 2020): human parsing into 20 classes, whole picture and per person, and their fusion.

Imports nothing of ours.
"""
