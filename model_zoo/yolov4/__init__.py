"""YOLOv4 (Bochkovskiy et al. 2020): the Darknet network, its weight files, and the boxes of people.

Imports nothing of ours.
"""
