"""Axes, skeletons, body joints and part labels as plain data: the one place where each is written down."""

from __future__ import annotations

# --- image and camera -------------------------------------------------------------------------------------
# Image frame: x right, y down, origin at the centre of the top-left pixel.
# Camera frame: x right, y down, z forward, metres. `world_from_camera` maps camera to world coordinates.

# --- keypoints: COCO-WholeBody, 133 joints (Jin et al., ECCV 2020) ----------------------------------------
COCO_BODY = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
COCO_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
HAND_POINTS = ("wrist",) + tuple(
    f"{finger}_{joint}" for finger in ("thumb", "index", "middle", "ring", "little") for joint in range(1, 5)
)
COCO_WHOLEBODY = (
    COCO_BODY
    + COCO_FEET
    + tuple(f"face_{i}" for i in range(68))  # iBUG-68 order
    + tuple(f"left_hand_{name}" for name in HAND_POINTS)
    + tuple(f"right_hand_{name}" for name in HAND_POINTS)
)
NUM_KEYPOINTS = len(COCO_WHOLEBODY)
BODY = slice(0, 17)
FEET = slice(17, 23)
FACE = slice(23, 91)
LEFT_HAND = slice(91, 112)
RIGHT_HAND = slice(112, 133)

COCO_EDGES = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22),
)  # fmt: skip

# BODY25 (OpenPose) index of each COCO-17 joint; joint 1 (neck) is the mean of 2 and 5, joint 8 (mid hip) of 9 and
# 12, each with the smaller of the two confidences. Feet follow in BODY25_FROM_FEET.
BODY25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
    "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
    "right_small_toe", "right_heel",
)  # fmt: skip
BODY25_FROM_COCO = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
BODY25_FROM_FEET = (19, 20, 21, 22, 23, 24)
BODY25_MEANS = {1: (2, 5), 8: (9, 12)}

# --- body: SMPL, 24 joints (Loper et al., SIGGRAPH Asia 2015) ---------------------------------------------
SMPL_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# --- human parsing: the 20 classes of CIHP as SCHP orders them (Gong et al., ECCV 2018) -------------------
PARSING_LABELS = (
    "background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants",
    "torso-skin", "scarf", "skirt", "face", "left arm", "right arm", "left leg", "right leg", "left shoe",
    "right shoe",
)  # fmt: skip


def _voc_colour(label: int) -> tuple[int, int, int]:
    """Colour of a label in the PASCAL VOC palette: bit b of the label sets bit 7 - b//3 of channel b % 3."""
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= ((label >> bit) & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]


VOC_PALETTE = tuple(_voc_colour(label) for label in range(256))

# --- scene: where a background pixel comes from -----------------------------------------------------------
SCENE_OBSERVED = 0  # this frame shows it; equal to the frame's own pixel
SCENE_FROM_OTHER_FRAME = 1  # seen in another frame of the clip
SCENE_INPAINTED = 2  # no frame of the clip shows it
