// Brush and eraser, and the ring around the pointer.

import { $ } from "./dom.js";
import { add, extend, forget } from "./marks.js";
import { place, view } from "./stage.js";

const { ring, size, stage } = $;
const STEP = 1.2;

export function setSize(pixels) {
	size.value = pixels;
	ring.style.setProperty("--size", `${size.value}px`);
}

export const larger = () => setSize(size.value * STEP);
export const smaller = () => setSize(size.value / STEP);

export function makeBrush(kind) {
	let stroke;
	const point = ({ x, y, pressure }) => [x, y, (size.value / 2 / view.scale) * pressure];
	return {
		start(first) {
			const [x, y, radius] = point(first);
			stroke = { kind: first.isErasing ? "erase" : kind(), points: [x, y, radius, x, y + 0.1, radius] }; // a dot
			add(stroke);
		},
		move: (points) => extend(stroke, points.flatMap(point)),
		cancel: forget,
	};
}

export function followPointer(isBrush) {
	const follow = (event) => {
		ring.hidden = event.pointerType === "touch" || event.type === "pointerleave" || !isBrush();
		ring.style.translate = place(event).map((offset) => `${offset}px`).join(" ");
	};
	stage.addEventListener("pointermove", follow);
	stage.addEventListener("pointerleave", follow);
	size.oninput = () => setSize(size.value);
}
