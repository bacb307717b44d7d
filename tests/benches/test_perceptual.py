"""The perceptual distance agrees with the network's own file, and the mesh figure sees a mesh."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from benchmarks.perceptual import hole_mesh, perceptual_distance
from training.losses import PerceptualLoss
from training.model.perceptual import TAPS, PerceptualNetwork, network_file


def picture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (200, 260, 3))
    return np.asarray(np.clip(128 + 400 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 255), np.uint8)


def hole() -> np.ndarray:
    mask = np.zeros((200, 260), np.uint8)
    cv2.circle(mask, (120, 90), 50, 1, -1)
    return mask > 0


def test_the_network_equals_its_file_in_onnx_runtime() -> None:
    model = onnx.load(network_file())
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in TAPS)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
    expected = session.run(list(TAPS), {"input:0": image[..., ::-1] - np.array((104, 117, 123), np.float32)})
    found = PerceptualNetwork()(torch.from_numpy(image).permute(0, 3, 1, 2) / 127.5 - 1)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs, atol=1e-3)


def test_distance_orders_what_is_more_and_less_alike() -> None:
    truth, inside = picture(), hole()
    assert perceptual_distance(truth, truth, inside) == pytest.approx(0, abs=1e-6)

    def with_hole(filling: np.ndarray) -> np.ndarray:
        return np.where(inside[..., None], filling, truth)

    slightly = perceptual_distance(with_hole(cv2.GaussianBlur(truth, (0, 0), 1)), truth, inside)
    blurred = perceptual_distance(with_hole(cv2.GaussianBlur(truth, (0, 0), 9)), truth, inside)
    assert 0 < slightly < blurred < 2


def test_what_lies_outside_the_square_does_not_count() -> None:
    truth, inside = picture(), np.zeros((200, 260), np.bool_)
    inside[5:25, 5:25] = True
    other = truth.copy()
    other[120:, 120:] = 0
    changed = np.where(inside[..., None], np.uint8(90), truth)
    elsewhere = np.where(inside[..., None], np.uint8(90), other)
    assert perceptual_distance(changed, truth, inside) == pytest.approx(
        perceptual_distance(elsewhere, other, inside), rel=1e-5
    )


def test_a_hole_in_a_thin_picture() -> None:
    truth = picture()[:40]
    inside = np.zeros((40, 260), np.bool_)
    inside[10:30, 40:200] = True
    assert perceptual_distance(np.where(inside[..., None], np.uint8(0), truth), truth, inside) > 0


@pytest.mark.parametrize("lag", [4, 8])
def test_mesh(lag: int) -> None:
    truth, inside = picture(), hole()
    plain = hole_mesh(truth, inside)
    assert plain is not None
    assert abs(plain[lag]) < 0.05
    meshed = truth.astype(float)
    meshed[::lag] += 20
    found = hole_mesh(np.clip(meshed, 0, 255).astype(np.uint8), inside)
    assert found is not None
    assert found[lag] > 0.1
    assert hole_mesh(np.full_like(truth, 90), inside) is None


def test_the_loss_falls_as_the_result_nears_the_truth() -> None:
    torch.manual_seed(0)
    loss = PerceptualLoss()
    x = torch.from_numpy(picture()).permute(2, 0, 1)[None, :, :128, :128] / 127.5 - 1
    m = torch.zeros(1, 1, 128, 128)
    m[..., 40:90, 40:90] = 1
    assert loss(x, x, m).item() == pytest.approx(0, abs=1e-6)
    near, far = ((x + strength * torch.randn_like(x) * m).requires_grad_() for strength in (0.02, 0.5))
    distance = loss(far, x, m)
    assert loss(near, x, m) < distance
    distance.backward()
    assert far.grad is not None
    assert far.grad.abs().sum() > 0
