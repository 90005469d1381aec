"""The SMPL-format body that every later stage poses."""
