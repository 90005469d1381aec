"""HRNet (Sun et al., CVPR 2019): heatmaps of body joints, and the crop and decoding that go with them.

Imports nothing of ours.
"""
