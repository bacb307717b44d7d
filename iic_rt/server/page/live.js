// Live preview: a camera's stream as it is filled, its counts, and the mask that is drawn over it.

import { followPointer, larger, makeBrush, setSize, smaller } from "./brush.js";
import { $ } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { add, isMarked, maskFile, redo, reset, undo } from "./marks.js";
import { hush, tell } from "./notice.js";
import { listen } from "./pointer.js";
import { nudge, placeRectangle, rectangle, removeRectangle } from "./rectangle.js";
import { ask } from "./server.js";
import { fit, redraw, scene, zoom } from "./stage.js";
import { loadWords, number, put } from "./words.js";

const RETRY = 2000; // milliseconds
const HEAD = /Content-Length: *(\d+)[^]*?\r\n\r\n/i;
const text = new TextDecoder("latin1");

// Calls back with each JPEG file of a stream of such parts.
async function read(stream, show) {
	const reader = stream.getReader();
	for (let bytes = new Uint8Array(); ; ) {
		const head = HEAD.exec(text.decode(bytes.subarray(0, 300)));
		const start = head?.index + head?.[0].length;
		const end = start + Number(head?.[1]);
		if (bytes.length >= end) {
			await show(new Blob([bytes.subarray(start, end)]));
			bytes = bytes.slice(end);
			continue;
		}
		const { done, value } = await reader.read();
		if (done) return;
		const more = new Uint8Array(bytes.length + value.length);
		more.set(bytes);
		more.set(value, bytes.length);
		bytes = more;
	}
}

async function show(file) {
	const full = await createImageBitmap(file);
	const { width, height } = full;
	const before = scene.image;
	scene.image = scene.original = { full, preview: full, width, height };
	if (before?.width === width && before.height === height) redraw();
	else fit();
	before?.full.close();
}

async function look() {
	const { body } = await ask("live/stream.mjpeg");
	hush();
	await read(body, show);
}

async function count() {
	const { dropped = {}, fps, latency_p50_ms: latency, ...counts } = await (await ask("live/stats")).json();
	const all = Object.values(dropped).reduce((sum, value) => sum + value, 0);
	put($.facts, "live_facts", { ...counts, dropped: all, fps: number(fps ?? 0, 1), latency: number(latency ?? 0) });
}

// Again and again, whatever becomes of the server.
async function keep(task) {
	for (;;) {
		await task().catch(() => tell("live_lost", { kind: "error" }));
		await new Promise((done) => setTimeout(done, RETRY));
	}
}

async function setMask(body) {
	try {
		await ask("live/mask", { method: "PUT", body });
		reset();
		tell("done");
	} catch ({ message }) {
		tell("failed", { kind: "error", said: message });
	}
}

function markRectangle() {
	add({ kind: "remove", box: rectangle() });
	removeRectangle();
}

await loadWords();
$.undo.onclick = undo;
$.redo.onclick = redo;
$.run.onclick = async () => (isMarked("remove") ? setMask(await maskFile("remove", scene.image)) : tell("paint"));
$.clear.onclick = () => setMask("");
setSize($.size.value);
followPointer(() => scene.image);
const brush = makeBrush(() => ($.erase.checked ? "erase" : "remove"));
listen(() => scene.image && brush);
listenToKeys({
	undo,
	redo,
	larger,
	smaller,
	fit,
	nearer: () => zoom(1.25),
	farther: () => zoom(0.8),
	rectangle: () => scene.image && placeRectangle(),
	arrow: (...how) => rectangle() && nudge(...how),
	enter: () => rectangle() && markRectangle(),
	escape: removeRectangle,
	peek() {},
});
keep(look);
keep(count);
