// Which part of the image is seen, and drawing it. Layers have the resolution of the screen, so that a stroke costs the same
// on an image of any size.

import { $ } from "./dom.js";

const { handle, imageLayer, marksLayer, stage } = $;
const LARGEST = 16; // CSS pixels for one of the image
const SMALLEST = 0.02;
const MARGIN = 12;

// A pixel of the image lies at scale * (x, y) + (left, top), in CSS pixels from the corner of the stage.
export const view = { scale: 1, left: 0, top: 0, ratio: 1 };

// What is shown: `image`, or `before` in its place; right of `split` (0 to 1) `after` under `overlay`; only `original` while
// there is a `peek`.
export const scene = { split: 0.5 };

let isFitted = true;
let isDue = false;
let isMoved = false;
const listeners = [];
export const onView = (listener) => listeners.push(listener);

// Of an event on the stage.
export function place({ clientX, clientY }) {
	const { left, top } = stage.getBoundingClientRect();
	return [clientX - left, clientY - top];
}

export function useView(context) {
	const { scale, left, top, ratio } = view;
	context.setTransform(scale * ratio, 0, 0, scale * ratio, left * ratio, top * ratio);
}

export function redraw() {
	if (!isDue) requestAnimationFrame(draw);
	isDue = true;
}

function move(scale, left, top) {
	Object.assign(view, { scale, left, top });
	isMoved = true;
	redraw();
}

export function fit() {
	isFitted = true;
	const { clientWidth, clientHeight } = stage;
	const { width, height } = scene.image ?? { width: 1, height: 1 };
	const scale = Math.min((clientWidth - 2 * MARGIN) / width, (clientHeight - 2 * MARGIN) / height, LARGEST);
	move(scale, (clientWidth - scale * width) / 2, (clientHeight - scale * height) / 2);
}

export function pan(across, down) {
	if (!scene.image) return;
	isFitted = false;
	const keep = (offset, size, room) => Math.min(Math.max(offset, room / 2 - size * view.scale), room / 2); // in sight
	const left = keep(view.left + across, scene.image.width, stage.clientWidth);
	move(view.scale, left, keep(view.top + down, scene.image.height, stage.clientHeight));
}

// Around a point of the stage.
export function zoom(factor, [x, y] = [stage.clientWidth / 2, stage.clientHeight / 2]) {
	const change = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor)) / view.scale;
	view.scale *= change;
	pan((x - view.left) * (1 - change), (y - view.top) * (1 - change));
}

function draw() {
	isDue = false;
	if (isMoved) for (const listener of listeners) listener();
	isMoved = false;
	const context = imageLayer.getContext("2d");
	context.resetTransform();
	context.clearRect(0, 0, imageLayer.width, imageLayer.height);
	handle.hidden = !scene.after || scene.peek;
	if (!scene.image) return;
	useView(context);
	drawImage(context, scene.peek ? scene.original : (scene.before ?? scene.image));
	if (handle.hidden) return;
	const { width, height } = scene.image;
	const from = width * scene.split;
	handle.style.translate = `${view.left + from * view.scale}px`;
	context.save();
	context.beginPath();
	context.rect(from, 0, width - from, height);
	context.clip();
	drawImage(context, scene.after);
	if (scene.overlay) context.drawImage(scene.overlay, 0, 0, width, height);
	context.restore();
}

function drawImage(context, { full, preview, width, height }) {
	context.imageSmoothingQuality = "medium";
	context.drawImage(view.scale * view.ratio * width > preview.width ? full : preview, 0, 0, width, height);
}

new ResizeObserver(() => {
	view.ratio = Math.min(devicePixelRatio, 2);
	for (const layer of [imageLayer, marksLayer]) {
		layer.width = stage.clientWidth * view.ratio;
		layer.height = stage.clientHeight * view.ratio;
	}
	if (isFitted) fit();
	else pan(0, 0);
	draw(); // now: a new size wipes the layers
}).observe(stage);
