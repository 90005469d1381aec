"""EasyMocap's monocular fit: its terms, weights, stages and solver (zju3dv/EasyMocap, `at_final` of its recipe).

Differences, all meant: double precision throughout and no rounding of results; one frame is enough (a mean over nothing
is 0, not NaN); frames without a person keep no term of their own and are marked not valid; the detector's keypoints are
the pipeline's, and the first guess is `tools.body.initialise` unless PARE's results are given.

Shapes: T time, K the 25 joints of BODY25, J 24 joints, V vertices. Camera frame: x right, y down, z forward, m.
"""

from __future__ import annotations

import functools
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from model_zoo.body.landmarks import keypoint_regressor
from model_zoo.body.posed_points import pose_points, rotations
from model_zoo.body.rotation import axis_angle_from_matrix
from model_zoo.body.skeleton import NUM_BETAS, PARENTS
from model_zoo.body.smpl import SmplModel
from model_zoo.body.unpickle import load_pickle
from tools.body.chain import Carried
from tools.body.initialise import initial_state
from tools.body.observations import MIN_CONFIDENCE, OBSERVED, observe
from tools.body.smplify import carry
from workflow import layout
from workflow.conventions import BODY25_FROM_COCO, BODY25_FROM_FEET, BODY25_MEANS, FEET
from workflow.errors import Rejected, ToolError
from workflow.stages.body import Body, EasymocapFitParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

logger = logging.getLogger(__name__)

NUM_JOINTS_2D = 25
FOCAL_SHARE = 1.2  # of the picture's shorter side
# InitTranslation
TRANSLATION_JOINTS = slice(0, 15)
MIN_CONFIDENCE_SUM = 7.5  # over these joints; with less the previous translation is copied
# SmoothPoses
POSE_WINDOW = 2  # frames on either side
# Losses
TORSO = (2, 5, 9, 12)  # shoulders and hips
REPROJECTION, GMOF_RHO, CONFIDENCE_EPSILON = 100.0, 0.02, 1e-5
LAG_WEIGHTS = (0.5, 0.3, 0.1, 0.1)
SMOOTH_TRANSLATION, SMOOTH_DEPTH, SMOOTH_POSES, SMOOTH_JOINTS = 100.0, 1000.0, 50.0, 100.0
INITIAL, PRIOR = 1.0, 0.1
REFINEMENTS = 2
# Solver
INNER_ITERATIONS, TOLERANCE = 20, 1e-7
_PARENTS_J = torch.tensor(PARENTS)
_EYE = torch.eye(3, dtype=torch.float64)
_NEAREST_m = 0.3  # of the first guess: a body behind the camera cannot be mended
_MIN_JOINTS = 4  # seen joints of a frame that counts as fitted


class Start(NamedTuple):
    """First guess: Rh (T, 3) and poses (T, 69), rad; shapes (T, 10) or (1, 10)."""

    Rh: Tensor
    poses: Tensor
    shapes: Tensor


class Fitted(NamedTuple):
    """Result in EasyMocap's convention, X = R(Rh) LBS([0, poses], shapes) + Th; float64.

    Attributes:
        Rh: Shape (T, 3), rad.
        Th: Shape (T, 3), m.
        poses: Shape (T, 69), rad.
        shapes: Shape (10,).
        keypoints: Shape (T, 25, 3), m, camera frame.
        loss: Of the last stage.
        steps: Outer steps of all stages.
    """

    Rh: Tensor
    Th: Tensor
    poses: Tensor
    shapes: Tensor
    keypoints: Tensor
    loss: float
    steps: int


class ReducedBody:
    """The keypoints of a body in one shape, posed without its vertices.

    Rows over the vertices are multiplied into template, blend shapes and weights once, and the points themselves are
    skinned (EasyMocap's reduced model). They differ from rows over the posed mesh by less than a millimetre.
    """

    def __init__(self, model: SmplModel, rows_KV: np.ndarray, shapes_B: Tensor) -> None:
        """Reduce a model; `rows_KV` is `J_regressor_body25` or rows of our landmarks."""
        shape = shapes_B.numpy()
        vertices = model.vertices_rest(shape)
        self.points_K3 = torch.from_numpy(rows_KV @ vertices)
        self.weights_KJ = torch.from_numpy(rows_KV @ model.weights)
        self.joints_J3 = torch.from_numpy(model.joints_rest(shape))
        self.posedirs_PK3: Tensor | None = None
        if model.has_posedirs:
            count = len(model.v_template)
            reduced = (rows_KV @ model.posedirs.reshape(count, -1)).reshape(len(rows_KV) * 3, -1)
            self.posedirs_PK3 = torch.from_numpy(np.ascontiguousarray(reduced.T))

    def __call__(self, Rh_T3: Tensor, Th_T3: Tensor, poses_TP: Tensor) -> Tensor:
        """Keypoints, shape (T, K, 3), m."""
        frames = len(Rh_T3)
        turned = rotations(torch.cat([Rh_T3, poses_TP], 1).unflatten(1, (-1, 3)))
        points = self.points_K3.expand(frames, -1, -1)
        if self.posedirs_PK3 is not None:
            feature = (turned[:, 1:] - _EYE).flatten(1)
            points = points + (feature @ self.posedirs_PK3).unflatten(-1, (-1, 3))
        return pose_points(turned, points, self.weights_KJ, self.joints_J3, _PARENTS_J) + Th_T3[:, None]


class PosePrior:
    """Mixture of Gaussians over the 69 numbers of a pose (SMPLify's `gmm_08.pkl`: means, covars, weights)."""

    def __init__(self, means: np.ndarray, covariances: np.ndarray, weights: np.ndarray) -> None:
        """Invert the covariances once.

        Raises:
            ValueError: The arrays are not those of a mixture over 69 numbers.
        """
        count, size = means.shape
        if size != 69 or covariances.shape != (count, 69, 69) or weights.shape != (count,):
            raise ValueError(
                f"means {means.shape}, covars {covariances.shape}, weights {weights.shape}: expected (n, 69), "
                "(n, 69, 69) and (n,)"
            )
        self.means = torch.from_numpy(means.astype(np.float64))
        self.precisions = torch.from_numpy(np.linalg.inv(covariances.astype(np.float64)))
        root = np.linalg.slogdet(covariances.astype(np.float64))[1] / 2  # logarithm of the root of the determinant
        log_norm = 0.5 * size * math.log(2 * math.pi) + root - root.min()
        self.offsets = torch.from_numpy(log_norm - np.log(weights.astype(np.float64)))

    @classmethod
    def from_file(cls, path: Path) -> PosePrior:
        """Read a pickled mixture; nothing in the file is executed.

        Raises:
            ToolError: It is missing or of another form.
        """
        if not path.exists():
            raise ToolError(f"{path}: no such file; put the mixture there or leave stages.body.params.gmm empty")
        try:
            content = load_pickle(path)
            return cls(*(np.asarray(content[key]) for key in ("means", "covars", "weights")))
        except (ValueError, KeyError) as error:
            raise ToolError(f"{path}: is not a mixture of Gaussians over poses ({error})") from None

    def __call__(self, poses_TP: Tensor) -> Tensor:
        """Mean over frames of the least negative logarithm."""
        away = poses_TP[:, None] - self.means
        quadratic = 0.5 * torch.einsum("tki,kij,tkj->tk", away, self.precisions, away)
        return (quadratic + self.offsets).min(1).values.mean()


# --- terms ------------------------------------------------------------------------------------------------


def reprojection(points_TK3: Tensor, target_TK2: Tensor, confidence_TK: Tensor, robust: bool) -> Tensor:
    """Mean squared error in normalised camera coordinates, weighted by confidence; Geman-McClure where `robust`."""
    squared = ((points_TK3[..., :2] / points_TK3[..., 2:] - target_TK2) ** 2).sum(-1)
    if robust:
        squared = squared / (squared + GMOF_RHO**2)
    return (squared * confidence_TK).sum() / (CONFIDENCE_EPSILON + confidence_TK.sum())


def smoothness(values: Tensor) -> Tensor:
    """Squared changes of velocity over lags of 1 to 4 frames, summed over the last axis, mean over the others.

    `vel_w = x[w:] - x[:-w]`, `acc_w = vel_w[1:] - vel_w[:-1]`. A lag that the clip is too short for adds nothing.
    """
    return _Quadratic.apply(values, _smoothing(len(values)))


class _Quadratic(torch.autograd.Function):
    """Sum of x^T M x over all columns, over the axes between the first and the last averaged."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, matrix: scipy.sparse.csr_matrix) -> Tensor:
        flat = values.detach().flatten(1).numpy()
        product = matrix @ flat
        ctx.scale = values.shape[-1] / flat.shape[1]
        ctx.product = product.reshape(values.shape)
        return torch.tensor(ctx.scale * np.vdot(flat, product), dtype=values.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.product) * (2 * ctx.scale * gradient), None


@functools.lru_cache(maxsize=8)
def _smoothing(frames: int) -> scipy.sparse.csr_matrix:
    """M with x^T M x = sum over lags of weight times the mean of the squared changes of velocity."""
    total = scipy.sparse.csr_matrix((frames, frames))
    for lag, weight in enumerate(LAG_WEIGHTS, start=1):
        count = frames - lag - 1
        if count > 0:
            rows = sum(
                sign * scipy.sparse.eye(count, frames, place, format="csr")
                for sign, place in ((1, 0), (-1, 1), (-1, lag), (1, lag + 1))
            )
            total = total + weight / count * (rows.T @ rows)
    return total.tocsr()


def smooth_trajectory(Th_T3: Tensor) -> Tensor:
    """The smoothness of the translation, and once more of its depth."""
    return SMOOTH_TRANSLATION * smoothness(Th_T3) + SMOOTH_DEPTH * smoothness(Th_T3[:, 2:])


# --- stages -----------------------------------------------------------------------------------------------


def initial_translation(points_TK3: Tensor, target_TK2: Tensor, confidence_TK: Tensor) -> Tensor:
    """Translation of each frame by weighted least squares, `tx - tz u = z u - x` for a joint (x, y, z) seen at u.

    Args:
        points_TK3: Keypoints without translation.
        target_TK2: Where they are seen, normalised camera coordinates.
        confidence_TK: Their confidence.

    Returns:
        Shape (T, 3), m. A frame with too little confidence has the one before it, or, at the start, the first there is.
    """
    points, target = points_TK3[:, TRANSLATION_JOINTS].numpy(), target_TK2[:, TRANSLATION_JOINTS].numpy()
    confidence = confidence_TK[:, TRANSLATION_JOINTS].numpy()
    enough = confidence.sum(1) >= MIN_CONFIDENCE_SUM
    if not enough.any():
        enough = confidence.sum(1) >= confidence.sum(1).max()  # the best there is
    found = np.zeros((len(points), 3))
    previous = None
    for t in np.flatnonzero(enough):
        rows = np.zeros((points.shape[1], 2, 3))
        rows[:, 0, 0] = rows[:, 1, 1] = 1
        rows[..., 2] = -target[t]
        right = points[t, :, 2:] * target[t] - points[t, :, :2]
        rows, right = rows * confidence[t, :, None, None], right * confidence[t, :, None]
        matrix = rows.reshape(-1, 3)
        found[t] = np.linalg.lstsq(matrix.T @ matrix, matrix.T @ right.reshape(-1), rcond=None)[0]
        found[t, 2] = max(found[t, 2], _NEAREST_m - points[t, :, 2].min())
    for t in range(len(points)):
        if enough[t]:
            previous = found[t]
        elif previous is not None:
            found[t] = previous
    first = int(np.flatnonzero(enough)[0])
    found[:first] = found[first]
    return torch.from_numpy(found)


def smoothed_poses(poses_TP: Tensor) -> Tensor:
    """Mean over five frames; edges are replicated."""
    padded = torch.cat([poses_TP[:1].expand(POSE_WINDOW, -1), poses_TP, poses_TP[-1:].expand(POSE_WINDOW, -1)])
    return padded.unfold(0, 2 * POSE_WINDOW + 1, 1).mean(-1)


class _NotFinite(ArithmeticError):
    """The loss is infinite or not a number; the solver's line search cannot say so itself."""


def minimise(loss: Callable[[], Tensor], unknowns: Sequence[Tensor], max_steps: int) -> tuple[float, int]:
    """L-BFGS with strong Wolfe conditions, started again and again until the loss hardly falls.

    Args:
        loss: Loss at the present values.
        unknowns: Leaf tensors, changed in place.
        max_steps: Outer steps at most, of 20 iterations each.

    Returns:
        Last loss and number of steps. Where the loss stops being finite, the values before that step are kept.
    """
    for unknown in unknowns:
        unknown.requires_grad_(True)
    solver = torch.optim.LBFGS(
        list(unknowns), lr=1.0, max_iter=INNER_ITERATIONS, tolerance_grad=TOLERANCE, tolerance_change=TOLERANCE,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss()
        if not math.isfinite(value.item()):
            raise _NotFinite
        value.backward()
        return value

    previous, value, steps = None, math.inf, 0
    kept = [unknown.detach().clone() for unknown in unknowns]
    while steps < max_steps:
        steps += 1
        try:
            value = solver.step(closure).item()
        except _NotFinite:
            value = math.inf
        if not math.isfinite(value) or not all(bool(torch.isfinite(unknown).all()) for unknown in unknowns):
            for unknown, before in zip(unknowns, kept):
                unknown.data.copy_(before)
            value = previous if previous is not None else math.inf
            break
        if previous is not None and (previous - value) / max(1e-5, abs(previous), abs(value)) <= TOLERANCE:
            break
        previous = value
        kept = [unknown.detach().clone() for unknown in unknowns]
    for unknown in unknowns:
        unknown.requires_grad_(False)
    return value, steps


def fit(
    model: SmplModel,
    rows_KV: np.ndarray,
    keypoints_TK3: np.ndarray,
    intrinsics: np.ndarray,
    start: Start,
    prior: PosePrior | None = None,
    max_steps: int = 999,
) -> Fitted:
    """Fit a clip.

    Args:
        model: The body.
        rows_KV: Rows of the 25 joints of BODY25 over the vertices.
        keypoints_TK3: x, y in px and confidence of BODY25; confidence 0 where there is none.
        intrinsics: Shape (3, 3), px.
        start: First guess.
        prior: Pose prior; None leaves the term out.
        max_steps: Outer steps of each stage at most.
    """
    rays = (
        np.concatenate([keypoints_TK3[..., :2], np.ones_like(keypoints_TK3[..., :1])], -1) @ np.linalg.inv(intrinsics).T
    )
    target_TK2 = torch.from_numpy(np.ascontiguousarray(rays[..., :2], np.float64))
    confidence_TK = torch.from_numpy(np.ascontiguousarray(keypoints_TK3[..., 2], np.float64))
    shapes_B = start.shapes.to(torch.float64).mean(0)
    Rh = start.Rh.to(torch.float64).clone()
    poses = start.poses.to(torch.float64).clone()
    # InitTranslation comes before the shapes are averaged; over a clip of one shape that is the same.
    body = ReducedBody(model, rows_KV, shapes_B)
    Th = initial_translation(body(Rh, torch.zeros_like(Rh), poses), target_TK2, confidence_TK)
    poses = smoothed_poses(poses)

    torso = list(TORSO)

    def init_loss() -> Tensor:
        points = body(Rh, Th, poses)[:, torso]
        seen = reprojection(points, target_TK2[:, torso], confidence_TK[:, torso], robust=False)
        return REPROJECTION * seen + smooth_trajectory(Th)

    loss, steps = minimise(init_loss, [Th, Rh], max_steps)
    for _ in range(REFINEMENTS):
        reference = poses.clone()

        def refine_loss(reference: Tensor = reference) -> Tensor:
            points = body(Rh, Th, poses)
            value = REPROJECTION * reprojection(points, target_TK2, confidence_TK, robust=True) + smooth_trajectory(Th)
            value = value + SMOOTH_POSES * smoothness(poses) + SMOOTH_JOINTS * smoothness(points)
            value = value + INITIAL * ((poses - reference) ** 2).mean()
            return value if prior is None else value + PRIOR * prior(poses)

        loss, taken = minimise(refine_loss, [poses, Rh, Th], max_steps)
        steps += taken
    return Fitted(Rh, Th, poses, shapes_B, body(Rh, Th, poses), loss, steps)


# --- the backend ------------------------------------------------------------------------------------------


def load(params: EasymocapFitParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints], Body]:
    """Read the body, its rows and the prior, and return the fitter.

    Raises:
        ToolError: A file that the settings name is missing or of another form.
    """
    torch.set_num_threads(1)  # sums in a fixed order
    model = SmplModel.load(files["body_model"])
    rows = _rows(model, params.regressor)
    prior = PosePrior.from_file(layout.WEIGHTS / params.gmm) if params.gmm else None
    if prior is None:
        logger.info("body/easymocap_fit: no mixture of Gaussians is given, so there is no pose prior")

    def run(frames: Frames, keypoints: Keypoints) -> Body:
        height, width = frames.rgb.frame_shape[:2]
        return _body(model, rows, prior, keypoints, (height, width), float(frames.fps), params)

    return run


def _rows(model: SmplModel, name: str) -> np.ndarray:
    """Rows of BODY25: the user's file, else our landmarks, whose order is COCO-WholeBody's."""
    if name:
        path = layout.WEIGHTS / name
        if not path.exists():
            raise ToolError(f"{path}: no such file; put it there or leave stages.body.params.regressor empty")
        rows = np.load(path, allow_pickle=False).astype(np.float64)
        if rows.shape != (NUM_JOINTS_2D, len(model.v_template)):
            raise ToolError(f"{path}: has shape {rows.shape}, expected ({NUM_JOINTS_2D}, {len(model.v_template)})")
        return rows
    return body25(keypoint_regressor(model)[:, :, None])[:, :, 0]


def body25(points: np.ndarray) -> np.ndarray:
    """BODY25 of the 23 first joints of COCO-WholeBody.

    Args:
        points: Shape (23 or more, N, C).

    Returns:
        Shape (25, N, C); neck and middle of the hips are means.
    """
    out = np.zeros((NUM_JOINTS_2D, *points.shape[1:]))
    out[list(BODY25_FROM_COCO)] = points[: len(BODY25_FROM_COCO)]
    out[list(BODY25_FROM_FEET)] = points[FEET]
    for joint, (first, second) in BODY25_MEANS.items():
        out[joint] = (out[first] + out[second]) / 2
    return out


def observed(keypoints: Keypoints) -> np.ndarray:
    """BODY25 of our keypoints, shape (T, 25, 3): x, y in px, confidence; 0 in frames without a person."""
    joints = np.concatenate([keypoints.xy, keypoints.confidence[..., None]], -1).astype(np.float64)
    out = body25(joints.transpose(1, 0, 2)).transpose(1, 0, 2)
    for joint, pair in BODY25_MEANS.items():
        out[:, joint, 2] = out[:, list(pair), 2].min(1)
    out[~keypoints.valid, :, 2] = 0
    return out


def read_annotations(folder: Path, frames: int) -> np.ndarray:
    """BODY25 of EasyMocap's JSON, `<frame:06d>.json`, shape (T, 25, 3); the first person of each.

    Raises:
        ToolError: A file is missing or of another form.
    """
    out = np.zeros((frames, NUM_JOINTS_2D, 3))
    for t in range(frames):
        path = folder / f"{t:06d}.json"
        if not path.exists():
            raise ToolError(f"{path}: no such file; the clip has {frames} frames")
        try:
            content = json.loads(path.read_bytes())
            people = content["annots"] if isinstance(content, dict) else content
            if people:
                out[t] = np.array(people[0]["keypoints"], np.float64)[:NUM_JOINTS_2D]
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{path}: is not an annotation of EasyMocap ({error!r})") from None
    out[..., 2] = np.clip(out[..., 2], 0, None)
    return out


def read_pare(folder: Path, frames: int) -> Start:
    """First guess from PARE's results as EasyMocap keeps them, `<frame:06d>.pkl`; gaps take the frame before.

    Raises:
        ToolError: No frame has a result, or one is of another form.
    """
    found: dict[str, list[np.ndarray]] = {"Rh": [], "poses": [], "shapes": []}
    latest = None
    waiting = 0
    for t in range(frames):
        path = folder / f"{t:06d}.pkl"
        if path.exists():
            try:
                content = load_pickle(path)
                latest = {key: np.asarray(content[key], np.float64).reshape(-1) for key in found}
            except (ValueError, KeyError) as error:
                raise ToolError(f"{path}: is not a result of PARE ({error})") from None
        if latest is None:
            waiting += 1
            continue
        for key, rows in found.items():
            rows += [latest[key]] * (waiting + 1)
        waiting = 0
    if latest is None:
        raise ToolError(f"{folder}: holds no <frame>.pkl of the clip's {frames} frames")
    Rh, poses, shapes = (torch.from_numpy(np.stack(found[key])) for key in ("Rh", "poses", "shapes"))
    return Start(Rh, poses, shapes[:, :NUM_BETAS])


def guess(model: SmplModel, keypoints: Keypoints, intrinsics: np.ndarray, fps: float) -> Start:
    """First guess from the pipeline's own landmarks."""
    carried, _ = carry(model)
    points = len(OBSERVED)
    observed_points = Carried(
        carried.rest_P3[:points], carried.shape_P3B[:points], carried.weights_PJ[:points], carried.joints_J3,
        carried.joints_shape_J3B,
    )  # fmt: skip
    seen = observe(keypoints, float(intrinsics[0, 0]), (float(intrinsics[0, 2]), float(intrinsics[1, 2])), fps)
    state = initial_state(seen, observed_points, fps)
    vectors = axis_angle_from_matrix(state.rotations_TJ33)
    return Start(vectors[:, 0].clone(), vectors[:, 1:].flatten(1).clone(), state.betas_B[None])


def _body(
    model: SmplModel,
    rows: np.ndarray,
    prior: PosePrior | None,
    keypoints: Keypoints,
    size: tuple[int, int],
    fps: float,
    params: EasymocapFitParams,
) -> Body:
    """Artifact of a clip.

    Raises:
        Rejected: Nobody is seen.
    """
    height, width = size
    frames = len(keypoints.valid)
    focal = params.focal_px or FOCAL_SHARE * min(height, width)
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    points = read_annotations(Path(params.annotations), frames) if params.annotations else observed(keypoints)
    valid = (points[..., 2] >= MIN_CONFIDENCE).sum(1) >= _MIN_JOINTS
    if not valid.any():
        raise Rejected(f"none of {frames} frames shows {_MIN_JOINTS} joints with confidence {MIN_CONFIDENCE} or more")
    points[~valid, :, 2] = 0
    if params.pare:
        start = read_pare(Path(params.pare), frames)
    else:
        if not keypoints.valid.any():
            raise Rejected("no frame has keypoints to begin from")
        start = guess(model, keypoints, intrinsics, fps)
    fitted = fit(model, rows, points, intrinsics, start, prior, params.iterations or 999)
    logger.info("fitted %d frames in %d steps, loss %.6g", frames, fitted.steps, fitted.loss)
    shapes = fitted.shapes.numpy()
    Rh, Th, poses = fitted.Rh.numpy(), fitted.Th.numpy(), fitted.poses.numpy()
    pelvis = model.joints_rest(shapes)[0]
    turns = rotations(fitted.Rh).numpy()
    transl = Th - pelvis + turns @ pelvis  # from a turn about the origin to one about the pelvis
    seen = fitted.keypoints.numpy() @ intrinsics.T
    pixels = seen[..., :2] / np.maximum(seen[..., 2:], 1e-3)
    counted = points[..., 2] >= MIN_CONFIDENCE
    error = (np.linalg.norm(pixels - points[..., :2], axis=-1) * counted).sum(1) / np.maximum(counted.sum(1), 1)
    if not np.isfinite(Th).all() or Th[valid, 2].min() < 0:
        raise Rejected("the fit puts the body behind the camera")
    return Body(
        betas=shapes.astype(np.float32),
        global_orient=Rh.astype(np.float32),
        body_pose=poses.astype(np.float32),
        transl=transl.astype(np.float32),
        joints=model.poser(shapes).joints(Rh, poses, transl).astype(np.float32),
        intrinsics=intrinsics.astype(np.float32),
        world_from_camera=np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)),
        reprojection_error=np.clip(error, 0, 1e6).astype(np.float32),
        valid=valid,
        quality={
            "valid_share": float(valid.mean()),
            "reprojection_px": float(error[valid].mean()),
            "loss": min(fitted.loss, 1e9),
            "steps": float(fitted.steps),
            "pose_prior": float(prior is not None),
        },
    )
