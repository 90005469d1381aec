"""PARE (Kocabas et al., ICCV 2021): SMPL pose and shape of one person from a crop, by attention to body parts.

May import the rest of model_zoo, nothing else of ours.
"""
