"""How the picture moved from one frame to another: as a whole, and around a hole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.geometry import Box
from iic_rt.video.look import Look

__all__ = ["Motion", "motion_between"]

Floats = NDArray[np.floating[Any]]

FEWEST = 12  # points that a motion is believed of
STILL, STILL_SHARE = 0.25, 0.7  # a camera stands still when so many points moved by fewer pixels
STILL_CORNER = 0.3  # pixels that a corner of the frame moves then at most
LOST_SHARE = 0.3  # of the points: when fewer are found again, or go together, the frames show different things
NEAR_SHARE = 0.5  # of the points around a hole that must go together
TOLERANCE = 1.5  # pixels by which a point may miss the common motion
EXPLAINED = 8.0  # grey levels that dense flow may leave between two frames of one scene
APART_SHARE, APART_LEAST = (
    0.02,
    2.0,
)  # how far the motion around a hole may differ from the frame's: of its side, pixels


@dataclass(frozen=True)
class Motion:
    """From a frame to a later one.

    Attributes:
        still: the camera has not moved.
        matrix: float64 [3, 3], of the frame as a whole: takes x, y, 1 of the earlier frame to the later.
        before: float32 [n, 2], points in pixels of the earlier frame.
        after: the same points in the later frame.
        loose: nothing holds together, as on water; the motion is that of most of it.
    """

    still: bool
    matrix: Floats
    before: Floats
    after: Floats
    loose: bool = False

    def around(self, box: Box) -> Floats:
        """The motion of what lies around a box of the later frame, float64 [3, 3].

        What is near and what is far move differently, and behind a hole lies mostly what lies around it.
        """
        if self.still:
            return self.matrix
        margin = max(24, 0.6 * box.longest)
        x, y = self.after[:, 0], self.after[:, 1]
        near = (x > box.left - margin) & (x < box.right + margin) & (y > box.top - margin) & (y < box.bottom + margin)
        if near.sum() < FEWEST:
            return self.matrix
        found, inliers = cv2.estimateAffine2D(
            self.before[near], self.after[near], ransacReprojThreshold=TOLERANCE, maxIters=300
        )
        if found is None or inliers.sum() < max(FEWEST, NEAR_SHARE * near.sum()):
            return _shift(self.before[near], self.after[near]) if self.loose else self.matrix
        own = np.vstack([found, (0, 0, 1)])
        corners = np.array(
            [[[box.left, box.top]], [[box.right, box.top]], [[box.left, box.bottom]], [[box.right, box.bottom]]],
            np.float64,
        )
        back = np.linalg.inv(own)
        apart = cv2.perspectiveTransform(cv2.perspectiveTransform(corners, back), self.matrix) - corners
        if np.abs(apart).max() > APART_SHARE * box.longest + APART_LEAST:
            return self.matrix  # a thing of its own that moves near the hole
        return own


def motion_between(earlier: Look, later: Look) -> Motion | None:
    """How the camera moved between two frames of one size; None where they show different things."""
    before, after, asked = earlier.follow(later)
    unmoved = np.eye(3)
    if asked < FEWEST:
        return Motion(True, unmoved, before, after) if earlier.resembles(later) else None
    if len(before) < max(FEWEST, LOST_SHARE * asked):
        return _loose_motion(earlier, later)
    distance = np.abs(after - before).max(1)
    if (distance < STILL).mean() >= STILL_SHARE:
        return Motion(True, unmoved, before, after)
    matrix, inliers = _fit(before, after)
    if matrix is None or inliers < max(FEWEST, LOST_SHARE * asked):
        return _loose_motion(earlier, later)
    height, width = later.clear.shape
    corners = np.array([[[0, 0]], [[width, 0]], [[0, height]], [[width, height]]], np.float64)
    if np.abs(cv2.perspectiveTransform(corners, matrix) - corners).max() < STILL_CORNER:
        return Motion(True, unmoved, before, after)
    return Motion(False, matrix, before, after)


def _loose_motion(earlier: Look, later: Look) -> Motion | None:
    """From dense flow, where points do not hold; None where the flow does not explain the later frame."""
    found = earlier.flow(later)
    if found is None:
        return None
    before, after, misfit = found
    if misfit > EXPLAINED:
        return None
    return Motion(False, _shift(before, after), before, after, loose=True)


def _shift(before: Floats, after: Floats) -> Floats:
    """The middle shift of points, float64 [3, 3]."""
    matrix = np.eye(3)
    matrix[:2, 2] = np.median(after - before, axis=0)
    return matrix


def _fit(before: Floats, after: Floats) -> tuple[Floats | None, int]:
    """The common motion of points, float64 [3, 3], and how many go along."""
    affine, inliers = cv2.estimateAffine2D(before, after, ransacReprojThreshold=TOLERANCE, maxIters=500)
    if affine is None:
        return None, 0
    count = int(inliers.sum())
    if len(before) >= 4 * FEWEST:  # enough for the eight numbers of a perspective, where that explains more
        whole, own = cv2.findHomography(before, after, cv2.RANSAC, TOLERANCE, maxIters=500)
        if whole is not None and own.sum() > 1.1 * count:
            return np.asarray(whole, np.float64), int(own.sum())
    return np.vstack([affine, (0, 0, 1)]), count
