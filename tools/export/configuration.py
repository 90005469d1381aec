"""The configuration with which instant-nvr trains from an exported data root."""

from __future__ import annotations

import json
from pathlib import Path

from tools.nvr.layout import META_FOLDER, OWN

_DATASET = """{name}_dataset:
  data_root: {root}
  human: {human}
  ann_file: {annots}
  split: {split}
"""


def configuration(name: str, root: Path, frames: int, parent: str) -> str:
    """Text of the YAML file; everything about the network comes from the configuration it builds on.

    Args:
        name: Of the experiment.
        root: Data root, absolute: the original is run from its own checkout.
        frames: Frames of the data root; all are trained on. `frame_interval` is 1, because a step was applied already.
        parent: Configuration of the original to build on, relative to its checkout.
    """
    human, annots = json.dumps(name), json.dumps(str(root / "annots.npy"))
    quoted = json.dumps(str(root))
    sets = "\n".join(
        _DATASET.format(name=set_name, root=quoted, human=human, annots=annots, split=split)
        for set_name, split in (("train", "train"), ("val", "val"), ("test", "test"))
    )
    return f"""# Run from a checkout of instant-nvr: python train_net.py --cfg_file {name}.yaml
parent_cfg: {json.dumps(parent)}

task: "inb"
exp_name: {human}

{sets}
bullet:
  dataset_kwargs:
    data_root: {quoted}
    ann_file: {annots}
    human: {human}
    split: "test"

smpl_meta: {json.dumps(str(root / META_FOLDER))}
lbs: {OWN.lbs}
params: {OWN.params}
vertices: {OWN.vertices}

training_view: [0]
test_view: [0]
begin_ith_frame: 0
num_train_frame: {frames}
frame_interval: 1
"""
