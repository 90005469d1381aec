import cv2
import numpy as np
import pytest
import torch

from model_zoo.body.skeleton import INDEX
from model_zoo.diffusion import canonical, mesh_fill
from model_zoo.diffusion.apose import MARGIN, Reposer, View, a_pose, choose_views
from model_zoo.diffusion.dressed_mesh import outline_distances
from model_zoo.raster.attributes import interpolate, vertex_normals
from model_zoo.raster.zbuffer import Rasterizer
from tests import bodies

SIDE = 192
CAMERA = np.array([[260.0, 0, (SIDE - 1) / 2], [0, 260, (SIDE - 1) / 2], [0, 0, 1]])
BETAS = np.zeros(10)


@pytest.fixture(scope="module")
def body():
    return bodies.free_body()


@pytest.fixture(scope="module")
def reposer(body):
    return Reposer(body.arrays())


def painted(body, colours, turn=0.0, pose=None):
    """A frame of the bare body in colours per vertex, turned about the vertical by `turn` rad."""
    around = cv2.Rodrigues(np.array([np.pi, 0, 0.0]))[0] @ cv2.Rodrigues(np.array([0, turn, 0.0]))[0]
    orient = cv2.Rodrigues(around)[0].ravel()
    pose = np.zeros(69) if pose is None else pose
    transl = np.array([0, -0.1, 2.8])
    vertices = body.poser(BETAS).vertices(orient[None], pose[None], transl[None])[0]
    raster = Rasterizer(SIDE, SIDE)(vertices, body.faces, CAMERA)
    human = raster.face_index >= 0
    image = np.rint(interpolate(raster, body.faces, colours)).astype(np.uint8)
    image[~human] = (0, 255, 0)  # a green screen, to see it leak
    return View(image, human.copy(), orient, pose, transl, CAMERA)


def stripes(body):
    """Red grows from the right side to the left, blue from the feet to the head."""
    at = (body.v_template - body.v_template.min(0)) / np.ptp(body.v_template, axis=0)
    return np.stack([60 + 180 * at[:, 0], np.full(len(at), 40.0), 60 + 180 * at[:, 1]], 1)


def wave():
    pose = np.zeros((24, 3))
    pose[INDEX["l_shoulder"], 2], pose[INDEX["r_shoulder"], 2] = -1.2, 0.4
    pose[INDEX["l_hip"], 0], pose[INDEX["r_knee"], 0] = -0.4, 0.5
    return pose[1:].ravel()


def expected(body, colours, size):
    """The A-pose drawn with the colours themselves, and where the body is."""
    orient, pose = a_pose()
    vertices = body.poser(BETAS).vertices(orient[None], pose[None], np.zeros((1, 3)))[0].astype(float)
    low, high = vertices.min(0), vertices.max(0)
    reach = max(high[1] - low[1], 2 * np.abs(vertices[:, 0]).max())
    vertices = vertices - [0, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2 - 6 * reach]
    middle = (size - 1) / 2
    focal = size * 6 / (1 + 2 * MARGIN)
    raster = Rasterizer(size, size)(vertices, body.faces, np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]]))
    return interpolate(raster, body.faces, colours), raster.face_index >= 0


def test_another_pose_gives_the_a_pose_in_the_same_colours(body, reposer):
    colours = stripes(body)
    drawn = reposer([painted(body, colours, 0.3, wave())], BETAS, 128).astype(float)
    wanted, covered = expected(body, colours, 128)
    shown = drawn[..., 1] < 148  # half of a pixel
    assert (shown & covered).sum() / (shown | covered).sum() > 0.93
    inner = cv2.erode(covered.astype(np.uint8), np.ones((3, 3))).astype(bool)
    # What lies on the far side, or across the body from an arm, is guessed from the other side.
    error = np.abs(drawn - wanted)[inner].max(-1)
    assert np.median(error) < 8 and np.quantile(error, 0.9) < 60
    assert drawn[inner][:, 1].max() < 100, "the green screen leaks"


def test_what_one_side_hides_comes_from_the_other(body, reposer):
    height = (body.v_template[:, 1] - body.v_template[:, 1].min()) / np.ptp(body.v_template[:, 1])
    colours = np.stack([60 + 180 * height, np.full(len(height), 40.0), 240 - 180 * height], 1)
    view = painted(body, colours)
    half = view.human.copy()
    half[:, SIDE // 2 :] = False  # the left of the body, right in the picture
    drawn = reposer([view._replace(human=half)], BETAS, 128).astype(float)
    wanted, covered = expected(body, colours, 128)
    inner = cv2.erode(covered.astype(np.uint8), np.ones((5, 5))).astype(bool)
    inner[:, :70] = False
    assert np.median(np.abs(drawn - wanted)[inner].max(-1)) < 12


def test_an_arm_before_the_chest_is_not_painted_onto_it(body, reposer):
    arms = body.weights[:, [INDEX[f"{s}_{name}"] for s in "lr" for name in ("shoulder", "elbow", "wrist", "hand")]]
    arm = arms.sum(1, keepdims=True) > 0.5
    colours = np.where(arm, [30.0, 30, 230], [230.0, 30, 30])
    pose = np.zeros((24, 3))
    pose[INDEX["l_shoulder"], 1], pose[INDEX["l_elbow"], 1] = -1.2, -1.5
    drawn = reposer([painted(body, colours, 0, pose[1:].ravel())], BETAS, 128).astype(float)
    wanted, covered = expected(body, colours, 128)
    chest = cv2.erode((covered & (wanted[..., 0] > 200)).astype(np.uint8), np.ones((5, 5))).astype(bool)
    assert (drawn[chest][:, 2] > 130).mean() < 0.01


def test_the_picture_is_a_function_of_its_inputs_and_white_without_any(body, reposer):
    view = painted(body, stripes(body), 0.5)
    one = reposer([view], BETAS, 64)
    assert one.shape == (64, 64, 3) and one.dtype == np.uint8
    assert (one == Reposer(body.arrays())([view], BETAS, 64)).all()
    assert (reposer([], BETAS, 16) == 255).all()
    nobody = view._replace(human=np.zeros_like(view.human))
    assert reposer([nobody], BETAS, 64).shape == (64, 64, 3)


def test_the_second_view_shows_what_the_first_does_not(body, reposer):
    side = np.sign(body.v_template[:, 0])
    colours = np.stack([128 + 100 * side, np.full(len(side), 30.0), 128 - 100 * side], 1)
    right, left = painted(body, colours, 1.2), painted(body, colours, -1.2)
    wanted, covered = expected(body, colours, 128)
    arms = covered.copy()
    arms[:, 45:83] = False
    one, both = (np.abs(reposer(views, BETAS, 128) - wanted)[arms].mean() for views in ([right], [right, left]))
    assert both < 0.6 * one


def test_outlines_tell_how_far_clothes_stand_out(body):
    orient, pose = np.array([np.pi, 0, 0.0]), np.zeros(69)
    vertices = body.poser(BETAS).vertices(orient[None], pose[None], np.array([[0, -0.1, 2.8]]))[0].astype(float)
    normals = vertex_normals(vertices, body.faces)
    fine = CAMERA * np.array([[3.0], [3.0], [1.0]])
    coat = Rasterizer(3 * SIDE, 3 * SIDE)(vertices + 0.03 * normals, body.faces, fine).face_index >= 0
    distance, known = outline_distances(vertices, normals, body.faces, coat, fine)
    assert known.sum() > 50
    assert np.median(distance[known]) == pytest.approx(0.03, abs=0.006)


def test_values_spread_without_going_beyond_what_is_known():
    line = np.stack([np.arange(9), np.arange(1, 10), np.arange(1, 10)], 1)
    weights = np.zeros(11)
    weights[[0, 9]] = 1e6
    values = np.full((11, 1), 77.0)
    values[[0, 9], 0] = 0, 9
    found = mesh_fill.spread(mesh_fill.laplacian(line, 11), values, weights, np.array([-5.0]))[:, 0]
    assert np.allclose(found[:10], np.arange(10), atol=1e-3)
    assert found[10] == pytest.approx(-5), "a part that nothing is known of"


def test_mirror_swaps_the_sides(body):
    mirror = mesh_fill.mirror_of(body.v_template)
    assert np.abs(body.v_template[mirror] * [-1, 1, 1] - body.v_template).max() < 0.01
    left = body.weights[:, INDEX["l_wrist"]] > 0.5
    assert (body.weights[mirror[left], INDEX["r_wrist"]] > 0.4).all()


def test_views_face_the_camera_and_look_from_apart():
    turns = np.array([3.0, 1.0, 0.1, 0.0, -0.9])
    orients = np.stack(
        [
            cv2.Rodrigues(cv2.Rodrigues(np.array([np.pi, 0, 0]))[0] @ cv2.Rodrigues(np.array([0, t, 0]))[0])[0].ravel()
            for t in turns
        ]
    )
    still = np.zeros((5, 69))
    assert choose_views(np.ones(5), orients, still) == [3, 4, 1]
    assert choose_views(np.array([1, 1, 1, 0, 0.0]), orients, still, 2) == [2, 1]
    assert choose_views(np.zeros(5), orients, still) == []
    away = still.copy()
    away[3, 3 * (INDEX["neck"] - 1) + 1] = 1.2  # the face looks aside
    assert choose_views(np.ones(5), orients, away)[0] == 2


class _Negative(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        return (1 - image * mask) + 0.0 * pose.sum()


class _Flat(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        return image[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_learned_reposer_takes_the_place(body, tmp_path):
    for name, network in (("good", _Negative()), ("bad", _Flat())):
        torch.jit.script(network).save(str(tmp_path / f"{name}.pt"))
    view = painted(body, stripes(body))
    drawn = canonical.build("learned", {}, tmp_path / "good.pt")([view], BETAS, SIDE)
    assert np.abs(drawn[~view.human].astype(int) - 255).max() == 0
    assert np.abs(drawn[view.human].astype(int) - (255 - view.image[view.human])).max() <= 1
    with pytest.raises(ValueError, match=r"bad.pt: gives \(3, .*expected a picture of shape"):
        canonical.build("learned", {}, tmp_path / "bad.pt")([view], BETAS, 32)
    (tmp_path / "none.pt").write_bytes(b"no")
    with pytest.raises(ValueError, match="not a TorchScript archive"):
        canonical.build("learned", {}, tmp_path / "none.pt")
