// The rectangle, also for people who cannot draw.

import { $ } from "./dom.js";
import { onView, scene, view } from "./stage.js";

const { box } = $;
const STEP = 12; // CSS pixels
const SMALLEST = 2; // pixels of the image

let corner = null; // upper left, in pixels of the image
let extent = null; // width and height
let changed = () => {};

export const onRectangle = (listener) => (changed = listener);

// [x, y, width, height] in whole pixels, or null.
export function rectangle() {
	if (!corner) return null;
	const [x, y] = corner.map(Math.round);
	return [x, y, Math.round(corner[0] + extent[0]) - x, Math.round(corner[1] + extent[1]) - y];
}

export function placeRectangle() {
	const { width, height } = scene.image;
	set([width * 0.375, height * 0.375], [width / 4, height / 4]);
}

export function removeRectangle() {
	corner = null;
	show();
}

// Moves it, or its lower right corner; fine steps are single pixels of the image.
export function nudge(direction, isSize, isFine) {
	const step = isFine ? 1 : Math.max(1, STEP / view.scale);
	const moved = (values) => values.map((value, i) => value + direction[i] * step);
	if (isSize) set(corner, moved(extent));
	else set(moved(corner), extent);
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const inside = ({ x, y }) => [clamp(x, 0, scene.image.width), clamp(y, 0, scene.image.height)];

let fixed = null; // the corner where drawing began
export const rectangleTool = {
	start: (point) => (fixed = inside(point)),
	move(points) {
		const [from, to] = [fixed, inside(points.at(-1))];
		set(to.map((value, i) => Math.min(value, from[i])), to.map((value, i) => Math.abs(value - from[i])));
	},
};

// Keeps it inside the image.
function set(wantedCorner, wantedExtent) {
	const sides = [scene.image.width, scene.image.height];
	extent = wantedExtent.map((value, i) => clamp(value, SMALLEST, sides[i]));
	corner = wantedCorner.map((value, i) => clamp(value, 0, sides[i] - extent[i]));
	show();
	changed(rectangle());
}

function show() {
	box.hidden = !corner;
	if (!corner) return;
	const [left, top] = corner.map((value) => value * view.scale);
	box.style.translate = `${view.left + left}px ${view.top + top}px`;
	[box.style.width, box.style.height] = extent.map((value) => `${value * view.scale}px`);
}

onView(show);
