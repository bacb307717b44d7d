// A camera's stream as it is filled, and its counts.

import { $ } from "./dom.js";
import { hush, tell } from "./notice.js";
import { ask } from "./server.js";
import { fit, redraw, scene } from "./stage.js";
import { number, put } from "./words.js";

const RETRY = 2000; // milliseconds
const HEAD = /Content-Length: *(\d+)[^]*?\r\n\r\n/i;

// Each JPEG file of a stream of such parts.
async function read(stream, show) {
	const reader = stream.getReader();
	for (let bytes = new Uint8Array(); ; ) {
		const head = HEAD.exec(new TextDecoder().decode(bytes.subarray(0, 300)));
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
	put($.counts, "live_counts", { ...counts, dropped: all, fps: number(fps ?? 0, 1), latency: number(latency ?? 0) });
}

async function keep(task) {
	for (;;) {
		await task().catch(() => tell("live_lost", { kind: "error" }));
		await new Promise((done) => setTimeout(done, RETRY));
	}
}

export function startLive() {
	keep(look);
	keep(count);
}
