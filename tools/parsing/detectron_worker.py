"""Person instances by detectron2; a program of its own, run by the Python that has detectron2. Imports nothing of ours.

    python detectron_worker.py WEIGHTS DEVICE

Reads one line per picture from its input, "PICTURE", a tab, "RESULT": a .npy with the picture (H, W, 3) uint8 BGR, and
where to write an .npz with `boxes` (N, 4) float32 x0 y0 x1 y1 px, `scores` (N,) float32 and `masks`
(N, H, ceil(W / 8)) uint8, packed bits, in falling order of score. Answers
"ready" when loaded, and "done" after each picture.

The network is the Cascade Mask R-CNN X-152 32x8d FPN that SCHP finetuned on CIHP: one class, scores from 0.5, overlap
0.95, no augmentation at test time (`mhp_extension/detectron2/configs/Misc/demo.yaml`).
"""

import sys

import numpy as np
import torch
from detectron2 import model_zoo
from detectron2.config import get_cfg
from detectron2.engine import DefaultPredictor

CONFIG = "Misc/cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv.yaml"


_MADE = ("pixel_mean", "pixel_std")  # by the configuration; not in every checkpoint


def predictor(weights: str, device: str) -> DefaultPredictor:
    """Network with its weights."""
    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file(CONFIG))
    cfg.MODEL.WEIGHTS = ""  # detectron2 would unpickle the file, and only log what does not fit
    cfg.MODEL.DEVICE = device
    cfg.MODEL.MASK_ON = True
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 1
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.5
    cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST = 0.95
    cfg.TEST.AUG.ENABLED = False
    found = DefaultPredictor(cfg)
    fill(found.model, weights)
    return found


def fill(model: torch.nn.Module, path: str) -> None:
    """Give the network its weights, read without running what a pickle may ask for; all of them must fit.

    Raises:
        ValueError: They are those of another network.
    """
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    state = loaded.get("model", loaded)
    own = model.state_dict()
    wanted = [name for name in own if name not in _MADE and "cell_anchors" not in name]
    missing = [name for name in wanted if name not in state]
    wrong = [name for name in wanted if name in state and state[name].shape != own[name].shape]
    if missing or wrong:
        raise ValueError(
            f"{path}: weights of another architecture: {len(missing)} missing, {len(wrong)} of another shape, "
            f"such as {', '.join([*missing, *wrong][:3])}"
        )
    model.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


def main() -> None:
    """Answer until the input ends."""
    answer = sys.stdout
    sys.stdout = sys.stderr  # whatever the package prints is no answer
    find = predictor(sys.argv[1], sys.argv[2])
    answer.write("ready\n")
    answer.flush()
    for line in sys.stdin:
        picture, result = line.rstrip("\n").split("\t")
        found = find(np.load(picture))["instances"].to("cpu")
        scores = np.asarray(found.scores, np.float32)
        order = np.argsort(-scores, kind="stable")
        masks = np.asarray(found.pred_masks, bool)
        np.savez(
            result,
            boxes=np.asarray(found.pred_boxes.tensor, np.float32)[order],
            scores=scores[order],
            masks=np.packbits(masks[order], axis=-1),
        )
        answer.write("done\n")
        answer.flush()


if __name__ == "__main__":
    main()
