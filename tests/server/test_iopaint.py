"""What clients of IOPaint send, as they send it."""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from iic_rt.image_header import Metadata, read_header
from iic_rt.image_io import decode_image
from iic_rt.image_metadata import with_metadata
from tests.server.conftest import encoded
from tests.test_image_header import oriented_png
from tests.test_image_metadata import profile

# Every field of IOPaint's schema of a request beside the two images, with a value that its page or a client sends.
IOPAINT_FIELDS: dict[str, Any] = {
    "ldm_steps": 30,
    "ldm_sampler": "ddim",
    "zits_wireframe": True,
    "hd_strategy": "Crop",
    "hd_strategy_crop_trigger_size": 640,
    "hd_strategy_crop_margin": 128,
    "hd_strategy_resize_limit": 2048,
    "prompt": "a quiet street",
    "negative_prompt": "",
    "use_croper": True,
    "croper_x": -91,
    "croper_y": -66,
    "croper_height": 512,
    "croper_width": 512,
    "use_extender": False,
    "extender_x": 0,
    "extender_y": 0,
    "extender_height": 640,
    "extender_width": 640,
    "sd_scale": 1.0,
    "sd_mask_blur": 12,
    "sd_strength": 1.0,
    "sd_steps": 50,
    "sd_guidance_scale": 7.5,
    "sd_sampler": "DPM++ 2M",
    "sd_seed": -1,
    "sd_match_histograms": False,
    "sd_outpainting_softness": 20.0,
    "sd_outpainting_space": 20.0,
    "sd_lcm_lora": False,
    "sd_keep_unmasked_area": True,
    "cv2_flag": "INPAINT_NS",
    "cv2_radius": 5,
    "paint_by_example_example_image": None,
    "p2p_image_guidance_scale": 1.5,
    "enable_controlnet": False,
    "controlnet_conditioning_scale": 0.4,
    "controlnet_method": "",
    "enable_brushnet": False,
    "brushnet_method": "",
    "brushnet_conditioning_scale": 1.0,
    "enable_powerpaint_v2": False,
    "powerpaint_task": "text-guided",
    "fitting_degree": 1.0,
}
# The page's own spelling of some, which its server does not know either.
MISSPELT = {"hd_strategy_crop_triger_size": 640, "hd_trategy_resize_imit": 2048}


def text(content: bytes, kind: str | None = None) -> str:
    return ("" if kind is None else f"data:{kind};base64,") + base64.b64encode(content).decode()


def strokes(mask: np.ndarray) -> bytes:
    """White strokes on transparent black, as the page draws them."""
    return encoded(np.dstack([mask] * 4))


@pytest.fixture(scope="module")
def expected(client: TestClient, files: dict[str, bytes]) -> np.ndarray:
    answer = client.post("/v1/remove", files=files)
    assert answer.status_code == 200
    return decode_image(answer.content, "a")


def test_the_page(client: TestClient, files: dict[str, bytes], mask: np.ndarray, expected: np.ndarray) -> None:
    body = {"image": text(files["image"], "image/png"), "mask": text(strokes(mask), "image/png")}
    answer = client.post("/api/v1/inpaint", json=body | IOPAINT_FIELDS | MISSPELT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-seed"] == "-1"
    assert "X-Seed" in answer.headers["access-control-expose-headers"]
    np.testing.assert_array_equal(decode_image(answer.content, "a"), expected)
    assert len(IOPAINT_FIELDS) == 44


@pytest.mark.parametrize("field", IOPAINT_FIELDS)
def test_no_field_of_iopaint_is_refused_whatever_it_holds(
    client: TestClient, files: dict[str, bytes], field: str
) -> None:
    body = {name: text(content) for name, content in files.items()}
    for value in ("", None, 1, [1], {"a": "b"}) if field != "sd_seed" else (None, 7):
        assert client.post("/api/v1/inpaint", json=body | {field: value}).status_code == 200


def test_krita(client: TestClient, image: np.ndarray, mask: np.ndarray) -> None:
    """It sends data URLs of BGRA and a grey mask, and reads the answer as PNG with alpha."""
    layer = np.dstack([image, np.full(mask.shape, 200, np.uint8)])
    body = {"image": text(encoded(layer), "image/png"), "mask": text(encoded(mask), "image/png")}
    answer = client.post("/api/v1/inpaint", json=body)
    assert answer.status_code == 200
    assert answer.content.startswith(b"\x89PNG")
    result = decode_image(answer.content, "a")
    assert result.shape == layer.shape
    np.testing.assert_array_equal(result[mask == 0], layer[mask == 0])


def test_yolo8_plus_iopaint(client: TestClient, files: dict[str, bytes], mask: np.ndarray, image: np.ndarray) -> None:
    """It sends raw base64 of files, here JPEGs, and writes the answer to a file."""
    body = {"image": text(encoded(image, ".jpg")), "mask": text(encoded(mask, ".jpg"))}
    answer = client.post("/api/v1/inpaint", json=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert read_header(answer.content, "a").format == "jpeg"


def test_iopaint_mcp(client: TestClient, files: dict[str, bytes], mask: np.ndarray) -> None:
    config = client.get("/api/v1/server-config")
    assert config.status_code == 200
    found = config.json()
    assert set(found) == {
        "plugins",
        "modelInfos",
        "removeBGModel",
        "removeBGModels",
        "realesrganModel",
        "realesrganModels",
        "interactiveSegModel",
        "interactiveSegModels",
        "enableFileManager",
        "enableAutoSaving",
        "enableControlnet",
        "controlnetMethod",
        "disableModelSwitch",
        "isDesktop",
        "samplers",
    }
    (model,) = found["modelInfos"]
    assert client.get("/api/v1/model").json() == model
    assert client.post("/api/v1/model", json={"name": model["name"]}).json() == model
    other = client.post("/api/v1/model", json={"name": "lama"})
    assert (other.status_code, other.json()["errors"]) == (400, f"the only model here is {model['name']}")
    body = {name: text(content, "image/png") for name, content in files.items()}
    assert client.post("/api/v1/inpaint", json=body | {"prompt": "", "sd_steps": 20}).headers["x-seed"] == "42"
    adjusted = client.post("/api/v1/adjust_mask", json={"mask": body["mask"], "operate": "expand", "kernel_size": 5})
    assert adjusted.status_code == 200


LEGACY_FIELDS = {
    "ldmSteps": "25",
    "ldmSampler": "plms",
    "zitsWireframe": "true",
    "hdStrategy": "Crop",
    "hdStrategyCropMargin": "196",
    "hdStrategyCropTrigerSize": "800",
    "hdStrategyResizeLimit": "2048",
    "prompt": "",
    "negativePrompt": "",
    "useCroper": "false",
    "croperX": "0",
    "sdMaskBlur": "5",
    "sdSampler": "uni_pc",
    "sdSeed": "42",
    "cv2Radius": "5",
    "cv2Flag": "INPAINT_NS",
    "paintByExampleSteps": "50",
    "p2pGuidanceScale": "7.5",
    "controlnet_conditioning_scale": "0.4",
}


def test_lama_sidecar(client: TestClient, files: dict[str, bytes], expected: np.ndarray) -> None:
    """The form of the time before IOPaint 1.0, with all its fields or with none."""
    form = {
        "image": ("image.png", files["image"], "image/png"),
        "mask": ("../../etc/passwd", files["mask"], "image/png"),
        "paintByExampleImage": ("", b"", "application/octet-stream"),
    }
    for fields in ({}, LEGACY_FIELDS):
        answer = client.post("/inpaint", files=form, data=fields)
        assert answer.status_code == 200, answer.text
        np.testing.assert_array_equal(decode_image(answer.content, "a"), expected)


def test_samplers(client: TestClient) -> None:
    assert client.get("/api/v1/samplers").json() == client.post("/api/v1/samplers").json() == []


def test_own_fields(client: TestClient, files: dict[str, bytes], expected: np.ndarray) -> None:
    left = np.zeros((60, 70), np.uint8)
    left[:, :35] = 255
    body = {name: text(content) for name, content in files.items()}
    for more in ({"avoid": text(encoded(left))}, {"prefer": text(encoded(left))}, {"grow": 5}):
        answer = client.post("/api/v1/inpaint", json=body | more)
        assert answer.status_code == 200
        assert (decode_image(answer.content, "a") != expected).any()
        assert 0 <= float(answer.headers["x-confidence"]) <= 1
    assert client.post("/api/v1/inpaint", json=body | {"budget_ms": 1, "iterations": 9}).headers["x-iterations"] == "1"


def test_masks_are_grey_without_their_alpha_and_white_from_128_up(
    client: TestClient, files: dict[str, bytes], mask: np.ndarray, image: np.ndarray, expected: np.ndarray
) -> None:
    def fill(drawn: np.ndarray) -> np.ndarray:
        answer = client.post("/api/v1/inpaint", json={"image": text(files["image"]), "mask": text(encoded(drawn))})
        assert answer.status_code == 200
        return decode_image(answer.content, "a")

    np.testing.assert_array_equal(fill(np.dstack([mask, mask, mask, np.zeros_like(mask)])), expected)
    np.testing.assert_array_equal(fill(np.where(mask > 0, np.uint8(128), np.uint8(127))), expected)
    np.testing.assert_array_equal(fill(np.where(mask > 0, np.uint8(127), np.uint8(0))), image)


def test_profile_orientation_and_format_are_kept(client: TestClient, image: np.ndarray, mask: np.ndarray) -> None:
    upright = np.ascontiguousarray(np.rot90(mask, 1))
    content = with_metadata(oriented_png(image, 8), Metadata(profile()), channels=3)
    answer = client.post("/api/v1/inpaint", json={"image": text(content), "mask": text(encoded(upright))})
    assert read_header(answer.content, "a").metadata.profile == profile()
    np.testing.assert_array_equal(decode_image(answer.content, "a")[upright == 0], np.rot90(image, 1)[upright == 0])
    for suffix, kind in ((".webp", "webp"), (".bmp", "bmp"), (".tif", "tiff")):
        body = {"image": text(encoded(image, suffix)), "mask": text(encoded(mask))}
        answer = client.post("/api/v1/inpaint", json=body)
        assert answer.headers["content-type"] == f"image/{kind}"
        assert read_header(answer.content, "a").format == kind


def test_errors_have_the_fields_that_its_page_reads(client: TestClient, files: dict[str, bytes]) -> None:
    other = {"image": text(files["image"]), "mask": text(encoded(np.zeros((9, 9), np.uint8)))}
    for body, status in ((other, 400), ({"mask": other["mask"]}, 422), ({"image": "AAAA", "mask": "AAAA"}, 415)):
        answer = client.post("/api/v1/inpaint", json=body)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
        assert answer.json()["errors"] == answer.json()["detail"]
    for path in ("/api/v1/nothing", "/api/v1/inputimage"):
        assert set(client.get(path).json()) == {"error", "detail", "body", "errors"}
    assert client.get("/api/v1/inpaint").status_code == 405


@pytest.mark.parametrize(("operate", "size"), [("expand", 5), ("shrink", 3), ("reverse", 5), ("expand", 0)])
def test_adjust_mask(client: TestClient, mask: np.ndarray, operate: str, size: int) -> None:
    body = {"mask": text(strokes(mask), "image/png"), "operate": operate, "kernel_size": size}
    answer = client.post("/api/v1/adjust_mask", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.headers["content-type"] == "image/png"
    drawn = decode_image(answer.content, "a")
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    expected = {"expand": cv2.dilate(mask, kernel), "shrink": cv2.erode(mask, kernel), "reverse": 255 - mask}[operate]
    marked = drawn[..., 3] > 0
    np.testing.assert_array_equal(drawn[marked], np.tile((0, 203, 255, 186), (marked.sum(), 1)))
    assert (drawn[~marked] == 0).all()
    assert (marked != (expected > 0)).sum() <= 8  # IOPaint's ellipse has slightly fuller corners


def test_adjust_mask_has_limits(client: TestClient, mask: np.ndarray) -> None:
    for more in ({"operate": "melt"}, {"operate": "expand", "kernel_size": 10**6}, {}):
        assert client.post("/api/v1/adjust_mask", json={"mask": text(encoded(mask))} | more).status_code == 422
