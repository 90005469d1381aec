import torch

from model_zoo.body.skinning import kinematics, posed_from_rest, skin
from model_zoo.body.smpl import PARENTS
from tools.body.chain import NUM_UNKNOWNS, Carried, State, exponential


def random_state(frames: int = 2) -> tuple[Carried, State]:
    torch.manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    weights = torch.rand(5, 24, dtype=torch.float64) ** 6
    carried = Carried(
        normal(5, 3),
        0.1 * normal(5, 3, 10),
        weights / weights.sum(1, keepdim=True),
        normal(24, 3),
        0.1 * normal(24, 3, 10),
    )
    return carried, State(exponential(0.7 * normal(frames, 24, 3)), normal(frames, 3), normal(10))


def test_points_are_skinned_as_by_the_body_model():
    carried, state = random_state()
    joints = carried.joints_J3 + carried.joints_shape_J3B @ state.betas_B
    rest = carried.rest_P3 + carried.shape_P3B @ state.betas_B
    transforms = posed_from_rest(kinematics(state.rotations_TJ33, joints, PARENTS), joints)
    expected = skin(rest, carried.weights_PJ, transforms) + state.transl_T3[:, None]
    torch.testing.assert_close(carried.posed(state).points_TP3, expected)


def test_derivatives_by_unknowns_match_differences():
    carried, state = random_state()
    jacobian = carried.posed(state).by_unknowns()
    eps, still = 1e-6, torch.zeros(10, dtype=torch.float64)
    for k in range(NUM_UNKNOWNS):
        step = torch.zeros(2, NUM_UNKNOWNS, dtype=torch.float64)
        step[:, k] = eps
        ahead = carried.posed(state.moved(step, still)).points_TP3
        behind = carried.posed(state.moved(-step, still)).points_TP3
        torch.testing.assert_close(jacobian[..., k], (ahead - behind) / (2 * eps), atol=1e-7, rtol=1e-6)


def test_derivatives_by_betas_match_differences():
    carried, state = random_state()
    jacobian = carried.posed(state).by_betas()
    eps, still = 1e-6, torch.zeros(2, NUM_UNKNOWNS, dtype=torch.float64)
    for k in range(10):
        step = torch.zeros(10, dtype=torch.float64)
        step[k] = eps
        ahead = carried.posed(state.moved(still, step)).points_TP3
        behind = carried.posed(state.moved(still, -step)).points_TP3
        torch.testing.assert_close(jacobian[..., k], (ahead - behind) / (2 * eps), atol=1e-7, rtol=1e-6)


def test_exponential_is_a_rotation_also_near_zero():
    vectors = torch.tensor([[0, 0, 0], [1e-9, 0, 0], [1e-4, 2e-4, 0], [0.3, -2.0, 1.0]], dtype=torch.float64)
    matrices = exponential(vectors)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(4, 3, 3))
    torch.testing.assert_close(matrices, torch.linalg.matrix_exp(_cross(vectors)))


def _cross(vectors: torch.Tensor) -> torch.Tensor:
    return torch.linalg.cross(vectors[:, None].expand(-1, 3, 3), torch.eye(3, dtype=torch.float64).expand(4, 3, 3)).mT
