// What was marked, as a list: drawn on the screen with hatching, and again at the size of the image for the masks.

import { $ } from "./dom.js";
import { onView, scene, useView, view } from "./stage.js";

export const KINDS = ["remove", "avoid", "prefer"];
const EVERYTHING = [-1e5, -1e5, 2e5, 2e5];
const TILE = 24; // pixels of the hatching, drawn at half its size
const LINES = "M-2 26 26-2M-14 14 14-14M10 38 38 10";
const HATCHING = { remove: LINES, avoid: LINES + "M-2-2 26 26M-14 10 14 38M10-14 38 14", prefer: "M6 6h.1M18 18h.1" };

const context = $.marksLayer.getContext("2d");
let done = [];
let undone = [];
let undoneBefore = []; // the last mark was made
let changed = () => {};

export const onMarks = (listener) => (changed = listener)();
export const canUndo = () => done.length > 0;
export const canRedo = () => undone.length > 0;

// Since all was cleared.
export function isMarked(kind) {
	const cleared = done.findLastIndex((mark) => mark.box === EVERYTHING);
	return done.slice(cleared + 1).some((mark) => mark.kind === kind);
}

// mark: {kind, points}, {kind, box} or {kind, box, shape}. kind: one of KINDS or "erase". points: [x, y, radius, ...]; box:
// [x, y, width, height]; shape: a canvas that fills it. All in pixels of the image.
export function add(mark) {
	undoneBefore = undone;
	replace([...done, mark], []);
}

export const forget = () => replace(done.slice(0, -1), undoneBefore); // as if it had never been
export const undo = () => canUndo() && replace(done.slice(0, -1), [...undone, done.at(-1)]);
export const redo = () => canRedo() && replace([...done, undone.at(-1)], undone.slice(0, -1));
export const clear = () => KINDS.some(isMarked) && add({ kind: "erase", box: EVERYTHING });
export const reset = () => replace([], []);

function replace(nextDone, nextUndone) {
	const isMore = nextDone.length > done.length;
	done = nextDone;
	undone = nextUndone;
	if (isMore) drawMark(done.at(-1));
	else redrawMarks();
	changed();
}

export function extend(mark, points) {
	const from = mark.points.length;
	mark.points.push(...points);
	drawMark(mark, from);
}

// A PNG file, white on black, if anything was marked.
export function maskFile(kind, { width, height }) {
	if (!isMarked(kind)) return;
	const canvas = new OffscreenCanvas(width, height);
	const mask = canvas.getContext("2d");
	const cover = (how, colour) => {
		mask.globalCompositeOperation = how;
		mask.fillStyle = colour;
		mask.fillRect(0, 0, width, height);
	};
	for (const mark of done) fill(mask, mark, mark.kind === kind);
	cover("source-in", "#fff");
	cover("destination-over", "#000");
	return canvas.convertToBlob();
}

function redrawMarks() {
	const { left, top, scale } = view;
	const { width = 0, height = 0 } = scene.image ?? {};
	context.canvas.style.clipPath = `xywh(${left}px ${top}px ${width * scale}px ${height * scale}px)`;
	context.resetTransform();
	context.clearRect(0, 0, context.canvas.width, context.canvas.height);
	for (const mark of done) drawMark(mark);
}

function drawMark(mark, from) {
	const isKind = KINDS.includes(mark.kind);
	useView(context);
	if (isKind) context.fillStyle = context.strokeStyle = hatching(mark.kind);
	fill(context, mark, isKind, from);
}

// Draws a mark, or takes away what it covers; of a stroke what comes from a place on.
function fill(pen, { box, shape, points }, isDrawn, from = 0) {
	pen.globalCompositeOperation = isDrawn ? "source-over" : "destination-out";
	if (shape) return pen.drawImage(shape, ...box);
	if (box) return pen.fillRect(...box);
	pen.lineCap = pen.lineJoin = "round";
	for (let i = Math.max(from, 3); i < points.length; ) {
		const radius = points[i + 2];
		pen.lineWidth = 2 * radius;
		pen.beginPath();
		pen.moveTo(points[i - 3], points[i - 2]);
		for (; points[i + 2] === radius; i += 3) pen.lineTo(points[i], points[i + 1]); // one path for one width
		pen.stroke();
	}
}

const patterns = {};

// The colour of a kind with lines or dots, which keep their size on the screen.
export function hatching(kind) {
	patterns[kind] ??= context.createPattern(tile(kind), "repeat");
	patterns[kind].setTransform(new DOMMatrix().scale(0.5 / view.scale));
	return patterns[kind];
}

function tile(kind) {
	const canvas = new OffscreenCanvas(TILE, TILE);
	const pen = canvas.getContext("2d");
	const style = getComputedStyle(document.body);
	pen.fillStyle = style.getPropertyValue(`--${kind}`);
	pen.fillRect(0, 0, TILE, TILE);
	pen.strokeStyle = style.getPropertyValue(`--${kind}-hatch`);
	pen.lineCap = "round";
	pen.lineWidth = kind === "prefer" ? 7 : 4;
	pen.stroke(new Path2D(HATCHING[kind]));
	return canvas;
}

onView(redrawMarks);
