"""Whole-body pose in two steps, as DWPose does it: people by YOLOX, joints by RTMPose-style coordinate classification.

Both networks are ONNX files; numbers are those of MimicMotion's and DWPose's own preprocessing.
"""
