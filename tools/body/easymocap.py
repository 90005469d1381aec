"""The body by EasyMocap's own `emc`: YOLOv5, HRNet, PARE and its fit (`hrnet_pare_finetune.yml`), in a checkout of it.

It detects and follows the person itself, and aborts where it sees nobody, so it is given only frames in which our
keypoints see the subject, and what it still cannot use is left out and the rest run again; what is done is kept.
Rendering is switched off: it needs a display. EasyMocap turns the body about the origin, here it turns about the
pelvis: `transl = Th - J0 + R(Rh) J0`. Its camera is `f = 1.2 min(H, W)` at `(W / 2, H / 2)`, its numbers have three
decimals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.body.smpl import SmplModel, easymocap_translation
from tools.body.posed import posed, smpl_only
from tools.easymocap import CLIP, Checkout, DataRoot, ProgramFailed, read_json
from workflow.errors import Rejected, ToolError
from workflow.stages.body import Body, EasymocapParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

logger = logging.getLogger(__name__)

MIN_FRAMES = 6  # with fewer the temporal terms are means of nothing, and the fit fails
_LABEL = "body/easymocap"
_SCRIPT = "apps/mocap/run.py"
_DATA, _FIT = "config/datasets/svimage.yml", "config/1v1p/hrnet_pare_finetune.yml"
_PARE = "models/pare/data"
_NEEDED = (
    _SCRIPT, _DATA, _FIT, "data/models/pose_hrnet_w48_384x288.pth", "models/J_regressor_body25.npy",
    f"{_PARE}/pare/checkpoints/pare_w_3dpw_checkpoint.ckpt", f"{_PARE}/pare/checkpoints/pare_w_3dpw_config.yaml",
    f"{_PARE}/smpl_mean_params.npz", f"{_PARE}/body_models/smpl/SMPL_NEUTRAL.pkl",
)  # fmt: skip
_SKIPPED = ("at_step.vis2d", "at_final.render", "at_final.make_video")
_NOBODY = "Error in detect"  # what the program prints when its detector sees nobody
_FOCAL_SHARE = 1.2  # of the picture's shorter side
_SIZES = {"Rh": 3, "Th": 3, "poses": 69, "shapes": 10}


def load(params: EasymocapParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints], Body]:
    """Look at the checkout and return the fitter.

    Args:
        params: Settings.
        files: `body_model`: SMPL, .npz.
    """
    checkout = Checkout.open(params.checkout, params.python, params.any_commit, params.device, _NEEDED, _LABEL)
    model = smpl_only(SmplModel.load(files["body_model"]), _LABEL)
    return lambda frames, keypoints: fit(checkout, model, frames, keypoints, params)


def fit(checkout: Checkout, model: SmplModel, frames: Frames, keypoints: Keypoints, params: EasymocapParams) -> Body:
    """Fit one clip.

    Raises:
        Rejected: Too few frames show the person.
        ToolError: The program failed, or some of its results are missing or of another form.
    """
    height, width = frames.rgb.frame_shape[:2]
    with DataRoot(frames.rgb, np.flatnonzero(keypoints.valid).tolist()) as root:
        dropped = _run(checkout, root, params.max_dropped)
        used = root.frames()
        results = [read_result(root.folder / "smpl" / f"{place:06d}.json") for place in range(len(used))]
    Rh, Th, poses, shapes = (np.stack([result[key] for result in results]) for key in _SIZES)
    betas = shapes.mean(0)  # the same in every frame
    pelvis = model.joints_rest(betas)[0]
    # Th = transl + J0 - R J0, and what is added to transl does not depend on it.
    transl = Th - easymocap_translation(Rh, np.zeros_like(Th), pelvis)
    focal = _FOCAL_SHARE * min(height, width)
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    figures = {"unseen_by_easymocap": float(dropped)}
    return posed(model, betas, Rh, poses, transl, np.array(used), keypoints, intrinsics, figures)


def _run(checkout: Checkout, root: DataRoot, max_dropped: int) -> int:
    """Run until the program accepts what is left; gives the number of frames left out."""
    dropped = 0
    while True:
        used = root.frames()
        if len(used) < MIN_FRAMES:
            raise Rejected(
                f"{len(used)} frames show the subject to both our keypoints and EasyMocap, it needs {MIN_FRAMES}"
            )
        arguments = ["--data", _DATA, "--exp", _FIT, "--root", str(root.folder), "--subs", CLIP,
                     "--ranges", "0", str(len(used)), "1", "--out", str(root.folder),
                     "--opt_exp", *(word for step in _SKIPPED for word in (f"args.{step}.module", "skip"))]  # fmt: skip
        try:
            checkout.run(_SCRIPT, arguments)
            return dropped
        except ProgramFailed as failed:
            if not any(_NOBODY in line for line in failed.lines):
                raise
            # The detector keeps its result before it looks for a person in it: the last one kept is the culprit's.
            seen = sorted((root.folder / "person" / CLIP).glob("*.npy"))
            image = root.images / f"{seen[-1].stem}.jpg" if seen else None
            if image is None or not image.exists():
                raise
            dropped += 1
            if dropped > max_dropped:
                raise Rejected(f"EasyMocap sees nobody in more than max_dropped = {max_dropped} frames") from None
            logger.info("%s: EasyMocap sees nobody in frame %d: left out", _LABEL, int(image.stem))
            image.unlink()
            seen[-1].unlink()


def read_result(path: Path) -> dict[str, np.ndarray]:
    """Parameters of the one person: Rh (3,), Th (3,), poses (69,), shapes (10,), float64.

    Raises:
        ToolError: The file is absent, or of another form.
    """
    content: Any = read_json(path, _LABEL)
    try:
        person = (content["annots"] if isinstance(content, dict) else content)[0]
        found = {key: np.array(person[key], np.float64).reshape(size) for key, size in _SIZES.items()}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ToolError(f"{_LABEL}: {path.parent.name}/{path.name} is not a result of EasyMocap: {error!r}") from None
    if not all(np.isfinite(value).all() for value in found.values()):
        raise ToolError(f"{_LABEL}: {path.parent.name}/{path.name} holds numbers that are not finite")
    return found
