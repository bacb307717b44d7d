// Mouse, pen and fingers on the stage: they move, enlarge or use a tool.

import { pan, place, view, zoom } from "./stage.js";
import { $ } from "./dom.js";

const { stage } = $;
const MIDDLE = 1;
const RIGHT = 2;
const PEN_ERASER = 32;
const LIGHTEST = 0.3; // share of the brush without pressure

export const held = { space: false, over: false };

// hand(): the tool {start(point), move(points), cancel()} if there is one. point: {x, y, pressure, isErasing}, in pixels of
// the image.
export function listen(hand) {
	const down = new Map();
	let tool = null; // that draws now
	let pinch = null;

	const at = (event) => {
		const [left, top] = place(event);
		const isPen = event.pointerType === "pen";
		return {
			x: (left - view.left) / view.scale,
			y: (top - view.top) / view.scale,
			pressure: isPen ? LIGHTEST + (1 - LIGHTEST) * event.pressure : 1,
			isErasing: event.button === RIGHT || (isPen && event.buttons & PEN_ERASER),
		};
	};
	const between = () => {
		const [[ax, ay], [bx, by]] = [...down.values()].map(place);
		return { x: (ax + bx) / 2, y: (ay + by) / 2, distance: Math.max(1, Math.hypot(ax - bx, ay - by)) };
	};
	const up = (event) => {
		if (!down.delete(event.pointerId)) return;
		if (event.type === "pointercancel") tool?.cancel?.();
		tool = null;
		if (!down.size) pinch = null;
	};
	const handlers = {
		pointerdown(event) {
			stage.setPointerCapture(event.pointerId);
			down.set(event.pointerId, event);
			if (down.size === 2) {
				tool?.cancel?.();
				tool = null;
				pinch = between();
			} else if (down.size === 1 && event.button !== MIDDLE && !held.space) {
				tool = hand() || null;
				tool?.start(at(event));
			}
		},
		pointermove(event) {
			const before = down.get(event.pointerId);
			if (!before) return;
			down.set(event.pointerId, event);
			if (tool) {
				const all = event.getCoalescedEvents?.() ?? [];
				tool.move((all.length ? all : [event]).map(at));
			} else if (!pinch) pan(event.clientX - before.clientX, event.clientY - before.clientY);
			else if (down.size === 2) {
				const now = between();
				pan(now.x - pinch.x, now.y - pinch.y);
				zoom(now.distance / pinch.distance, [now.x, now.y]);
				pinch = now;
			}
		},
		pointerup: up,
		pointercancel: up,
		pointerenter: () => (held.over = true),
		pointerleave: () => (held.over = false),
		contextmenu: (event) => event.preventDefault(),
		wheel(event) {
			event.preventDefault();
			const lines = event.deltaMode ? 16 : 1;
			zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 120 : 400)), place(event));
		},
	};
	for (const name in handlers) stage.addEventListener(name, handlers[name], { passive: false });
}
