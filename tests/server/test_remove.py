"""The server's own API, with the real model."""

from __future__ import annotations

import base64
import email.parser
import email.policy
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
from tests.test_image_io import exif_jpeg
from tests.test_image_metadata import profile


def decoded(content: bytes) -> np.ndarray:
    return decode_image(content, "the answer")


def parts(response: Any) -> dict[str, tuple[str, bytes]]:
    """Types and contents of a form, by name, as another reader of forms takes it apart."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + response.headers["content-type"].encode() + b"\r\n\r\n" + response.content
    )
    return {
        part.get_param("name", header="content-disposition"): (part.get_content_type(), part.get_payload(decode=True))
        for part in message.iter_parts()
    }


def test_a_form(client: TestClient, files: dict[str, bytes], image: np.ndarray, mask: np.ndarray) -> None:
    answer = client.post("/v1/remove", files=files)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    result = decoded(answer.content)
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
    assert (result[mask > 0] != image[mask > 0]).any()
    assert answer.headers["x-iterations"] == answer.headers["x-regions"] == "1"
    assert float(answer.headers["x-time-ms"]) > 0
    assert 0 <= float(answer.headers["x-confidence"]) <= 1


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:application/octet-stream;base64,"])
def test_json(client: TestClient, files: dict[str, bytes], prefix: str) -> None:
    texts = {name: prefix + base64.b64encode(content).decode() for name, content in files.items()}
    answer = client.post("/v1/remove", json=texts | {"grow": "auto", "avoid": None, "something": [1, {"else": 2}]})
    as_form = client.post("/v1/remove", files=files, data={"grow": "auto"})
    assert answer.status_code == as_form.status_code == 200
    assert answer.content == as_form.content


def test_fields_are_heeded(client: TestClient, files: dict[str, bytes], image: np.ndarray) -> None:
    def fill(more: dict[str, bytes] | None = None, **fields: str) -> Any:
        answer = client.post("/v1/remove", files=files | (more or {}), data=fields)
        assert answer.status_code == 200, answer.text
        return answer

    plain = decoded(fill().content)
    grown = decoded(fill(grow="5").content)
    assert (plain[15:20, 20:40] == image[15:20, 20:40]).all()
    assert (grown[15:20, 20:40] != image[15:20, 20:40]).any()
    edge = np.full((60, 70, 3), 60, np.uint8)  # of noise nothing is trusted, and nothing is gained by going on
    edge[:, 31:] = 200
    as_png = {"image": cv2.imencode(".png", edge)[1].tobytes()}
    assert int(fill(as_png, iterations="4").headers["x-iterations"]) > 1
    assert int(fill(as_png, iterations="4", budget_ms="0.001").headers["x-iterations"]) == 1
    left = np.zeros((60, 70), np.uint8)
    left[:, :35] = 255
    for name in ("avoid", "prefer"):
        assert (decoded(fill({name: encoded(left)}).content) != plain).any()
    same = fill({"avoid": b""}, grow="", iterations="", format="", outputs="")  # as a page sends what is not filled in
    np.testing.assert_array_equal(decoded(same.content), plain)


@pytest.mark.parametrize(
    ("suffix", "asked", "given"),
    [
        (".png", None, "png"),
        (".jpg", None, "jpeg"),
        (".webp", None, "webp"),
        (".bmp", None, "png"),
        (".tif", None, "png"),
        (".png", "jpeg", "jpeg"),
        (".jpg", "webp", "webp"),
        (".jpg", "png", "png"),
    ],
)
def test_formats(client: TestClient, image: np.ndarray, mask: np.ndarray, suffix: str, asked: str, given: str) -> None:
    files = {"image": encoded(image, suffix), "mask": encoded(mask)}
    answer = client.post("/v1/remove", files=files, data={} if asked is None else {"format": asked})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"image/{given}"
    assert read_header(answer.content, "a").format == given


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_alpha_profile_and_orientation(client: TestClient, image: np.ndarray, mask: np.ndarray, kind: str) -> None:
    alpha = np.dstack([image, 1 + np.arange(4200).reshape(60, 70) % 255]).astype(np.uint8)
    content = with_metadata(oriented_png(alpha, 6), Metadata(profile()), channels=4)
    turned = np.rot90(alpha, -1)
    upright = np.ascontiguousarray(np.rot90(mask, -1))
    answer = client.post("/v1/remove", files={"image": content, "mask": encoded(upright)}, data={"format": kind})
    assert answer.status_code == 200, answer.text
    result = decoded(answer.content)
    np.testing.assert_array_equal(result[..., 3], turned[..., 3])
    np.testing.assert_array_equal(result[upright == 0], turned[upright == 0])
    assert read_header(answer.content, "a").metadata.profile == profile()
    assert read_header(answer.content, "a").orientation == 1


def test_a_mask_with_an_orientation(client: TestClient, files: dict[str, bytes], mask: np.ndarray) -> None:
    lying = exif_jpeg(np.ascontiguousarray(np.rot90(mask, 1)), 6)
    assert client.post("/v1/remove", files=files | {"mask": lying}).status_code == 200


def drawn(mask: np.ndarray, colour: tuple[int, ...], ground: tuple[int, ...]) -> bytes:
    return encoded(np.where(mask[..., None] > 0, np.uint8(colour), np.uint8(ground)))


@pytest.mark.parametrize(
    ("colour", "ground"),
    [
        ((255, 255, 255, 255), (0, 0, 0, 0)),  # white strokes on nothing
        ((0, 0, 255, 255), (0, 0, 0, 0)),  # red strokes on nothing
        ((255, 255, 255, 255), (255, 255, 255, 0)),  # nothing that happens to be white
        ((255, 255, 255, 255), (0, 0, 0, 255)),  # no alpha to speak of
        ((255, 255, 255), (0, 0, 0)),
    ],
)
def test_masks_with_alpha(
    client: TestClient, files: dict[str, bytes], mask: np.ndarray, colour: tuple[int, ...], ground: tuple[int, ...]
) -> None:
    expected = client.post("/v1/remove", files=files).content
    answer = client.post("/v1/remove", files=files | {"mask": drawn(mask, colour, ground)})
    assert answer.status_code == 200, answer.text
    assert answer.content == expected


def test_outputs_as_a_form(client: TestClient, files: dict[str, bytes], mask: np.ndarray) -> None:
    alone = client.post("/v1/remove", files=files)
    answer = client.post("/v1/remove", files=files, data={"outputs": "confidence, iterations"})
    assert answer.status_code == 200
    found = parts(answer)
    assert {name: kind for name, (kind, _) in found.items()} == {
        "image": "image/png",
        "confidence": "image/png",
        "iterations": "image/jpeg",
        "info": "application/json",
    }
    assert found["image"][1] == alone.content
    confidence = decoded(found["confidence"][1])
    assert confidence.shape == mask.shape
    assert (confidence[mask == 0] == 255).all()
    assert (confidence[mask > 0] < 255).any()
    assert decoded(found["iterations"][1]).shape[1] > 2 * mask.shape[1]
    info = json.loads(found["info"][1])
    assert info["iterations"] == info["regions"] == 1
    assert info["confidence"] == float(alone.headers["x-confidence"])
    assert info["warnings"] == []
    assert set(parts(client.post("/v1/remove", files=files, data={"outputs": "confidence"}))) == {
        "image",
        "confidence",
        "info",
    }


def test_an_empty_mask_gives_the_image_back_with_a_warning(
    client: TestClient, files: dict[str, bytes], image: np.ndarray
) -> None:
    empty = files | {"mask": encoded(np.zeros((60, 70), np.uint8))}
    answer = client.post("/v1/remove", files=empty)
    np.testing.assert_array_equal(decoded(answer.content), image)
    assert "x-confidence" not in answer.headers
    info = json.loads(parts(client.post("/v1/remove", files=empty, data={"outputs": "confidence"}))["info"][1])
    assert "marks no pixel" in info["warnings"][0]


def refused(client: TestClient, files: dict[str, bytes], **fields: str) -> tuple[int, str, str]:
    answer = client.post("/v1/remove", files=files, data=fields)
    assert set(answer.json()) == {"error", "detail"}
    return answer.status_code, answer.json()["error"], answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("grow", "65", "grow: Input should be 'auto' or Input should be less than or equal to 64"),
        ("grow", "some", "'auto' or Input should be a valid integer"),
        ("iterations", "0", "greater than or equal to 1"),
        ("iterations", "1000000000", "less than or equal to 16"),
        ("budget_ms", "nan", "finite"),
        ("budget_ms", "-1", "greater than 0"),
        ("format", "gif", "'png', 'jpeg' or 'webp'"),
        ("outputs", "everything", "'confidence' or 'iterations'"),
    ],
)
def test_wrong_fields(client: TestClient, files: dict[str, bytes], name: str, value: str, message: str) -> None:
    status, kind, detail = refused(client, files, **{name: value})
    assert (status, kind) == (422, "field")
    assert name in detail
    assert message in detail


def test_wrong_images(client: TestClient, files: dict[str, bytes], image: np.ndarray) -> None:
    other = encoded(np.zeros((10, 12), np.uint8))
    white = encoded(np.full((60, 70), 255, np.uint8))
    deep = encoded(np.zeros((60, 70, 3), np.uint16))
    alpha = encoded(np.dstack([image, image[..., 0]]))
    assert refused(client, {"mask": files["mask"]}) == (
        422,
        "field",
        "image is missing; send an image under this name",
    )
    assert refused(client, {"image": files["image"]})[2].startswith("mask is missing")
    assert refused(client, files | {"mask": b"hello"})[:2] == (415, "type")
    assert refused(client, files | {"mask": other})[2].startswith("the mask is 12x10 and the image 70x60 pixels")
    assert refused(client, files | {"avoid": other})[2].startswith("the avoid mask is 12x10")
    assert refused(client, files | {"mask": white})[:2] == (400, "bad_input")
    assert refused(client, files | {"image": files["image"][:200]})[2].startswith("the image is truncated or damaged")
    assert "16 bits a channel" in refused(client, files | {"image": deep})[2]
    assert refused(client, files | {"image": alpha}, format="jpeg")[:2] == (422, "field")
    inside = refused(client, files | {"prefer": files["mask"]})
    assert inside[:2] == (400, "bad_input")
    assert "prefer mask lies inside the hole" in inside[2]


def test_wrong_bodies(client: TestClient, files: dict[str, bytes]) -> None:
    form = "multipart/form-data; boundary=x"
    headers = {"content-type": "application/json"}
    for content, kind, status in (
        (b"", "", 415),
        (b"x", "text/plain", 415),
        (b"x", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'"text"', "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b'{"image":' * 10_000, "application/json", 400),
        (b'{"image": 5, "mask": 6}', "application/json", 422),
        (b'{"image": "%%%", "mask": "AAAA"}', "application/json", 400),
        (b'{"image": "AAAAA", "mask": "AAAA"}', "application/json", 400),
        (b"", "multipart/form-data", 400),
        (b"nothing of the kind", form, 400),
        (b"--x\r\n\r\nno name\r\n--x--\r\n", form, 400),
        (b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nno end', form, 400),
        (b"--x\r\n" + b"A: b\r\n" * 100 + b"\r\n\r\n--x--\r\n", form, 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 200 + b"--x--\r\n", form, 400),
    ):
        answer = client.post("/v1/remove", content=content, headers={"content-type": kind} if kind else {})
        assert answer.status_code == status, (content[:50], answer.text)
        assert answer.json()["error"]
    zipped = client.post("/v1/remove", content=b"x", headers=headers | {"content-encoding": "gzip"})
    assert zipped.status_code == 415
    long = client.post("/v1/remove", files=files, data={"grow": "1" * 70_000})
    assert (long.status_code, long.json()["error"]) == (413, "too_large")


def test_an_object_in_a_box(client: TestClient) -> None:
    image = np.full((80, 100, 3), (200, 60, 20), np.uint8)
    cv2.circle(image, (50, 40), 18, (20, 220, 240), -1)
    answer = client.post("/v1/object", files={"image": encoded(image)}, data={"box": "28, 18,72,62.5"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    found = decoded(answer.content)
    assert found.shape == (80, 100)
    assert set(np.unique(found)) == {0, 255}
    assert found[40, 50] == 255
    assert 0.8 < (found > 0).sum() / (np.pi * 18**2) < 1.3
    texts = {"image": base64.b64encode(encoded(image)).decode(), "box": "28,18,72,62.5"}
    assert client.post("/v1/object", json=texts).content == answer.content
    for box, status in (("1,2,3", 422), ("a,b,c,d", 422), ("9e9,1,2,3", 422), ("200,200,300,300", 400), (None, 422)):
        data = {} if box is None else {"box": box}
        assert client.post("/v1/object", files={"image": encoded(image)}, data=data).status_code == status
