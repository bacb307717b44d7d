// From opening an image to saving the result: what follows what.

import { followPointer, larger, makeBrush, smaller } from "./brush.js";
import { takePhoto } from "./camera.js";
import { $ } from "./dom.js";
import { closeImage, openImage, stencil } from "./image.js";
import { listenToKeys } from "./keys.js";
import { setUpFullScreen, setUpKiosk } from "./kiosk.js";
import { startLive } from "./live.js";
import { add, hatching, isMarked, KINDS, maskFile, redo, reset, undo } from "./marks.js";
import { hush, tell } from "./notice.js";
import { listen } from "./pointer.js";
import { nudge, onRectangle, placeRectangle, rectangle, rectangleTool, removeRectangle } from "./rectangle.js";
import { clearResults, dividerTool, saveResult, setUpResult, showResults, takeResult } from "./result.js";
import { ask, fetchInfo, requestObject, requestRemoval } from "./server.js";
import { fit, pan, redraw, scene, zoom } from "./stage.js";
import { choose, chosen, requests, resetTools, setUpTools } from "./tools.js";
import { loadWords, setLanguage } from "./words.js";

const { body } = document;
const STEP = 48; // CSS pixels by which an arrow key moves the image

const isLive = location.pathname.endsWith("/live");
let state; // "start", "mark", "result" or "live"
let limits;
let isKiosk = new URLSearchParams(location.search).has("kiosk");
let work = null; // AbortController of the request under way

function enter(next) {
	state = body.dataset.state = next;
	$.start.hidden = state !== "start";
	$.markPanel.hidden = $.marksLayer.hidden = !hasMarks();
	$.resultPanel.hidden = state !== "result";
	if (state === "mark") $.stage.focus({ preventScroll: true });
	redraw();
}

const hasMarks = () => state === "mark" || state === "live";

async function open(file, name) {
	if (!file || work || isLive) return;
	const image = await openImage(file, name).catch(() => tell("not_an_image", { kind: "error" }));
	if (!image) return;
	const { megapixels, bytes } = limits ?? {};
	if (image.width * image.height > megapixels * 1e6 || image.file.size > bytes) {
		closeImage(image);
		return tell("too_large", { kind: "error", filling: { megapixels, megabytes: Math.floor(bytes / 1e6) } });
	}
	forget();
	scene.image = scene.original = image;
	fit();
	enter("mark");
	tell("paint");
}

function forget() {
	clearResults();
	reset();
	choose("tool", "brush");
	for (const image of new Set([scene.original, scene.image])) closeImage(image);
	scene.image = scene.original = null;
	$.file.value = "";
}

function wipe() {
	work?.abort();
	for (const dialog of document.querySelectorAll("dialog")) dialog.close();
	forget();
	resetTools();
	hush();
	setLanguage();
	fit();
	enter("start");
}

// Does one thing at a time, which can be stopped.
async function busy(task) {
	if (work) return;
	work = new AbortController();
	const { signal } = work;
	const offer = ["cancel", () => work.abort()];
	const waiting = (seconds, attempt) => tell("busy", { kind: "busy", filling: { seconds, attempt }, offer });
	tell("working", { kind: "busy", offer });
	try {
		await task({ signal, waiting });
	} catch (error) {
		if (!signal.aborted) return explain(error, () => busy(task));
		clearResults();
		if (scene.image) tell("cancelled");
	} finally {
		work = null;
	}
}

const explain = ({ kind, message }, retry) =>
	tell(kind === "dead" ? kind : "failed", { kind: "error", said: message, offer: retry && ["try_again", retry] });

async function remove() {
	if (!isMarked("remove")) return tell("paint");
	if (isLive) return setMask(await maskFile("remove", scene.image));
	busy(async (calls) => {
		const { image } = scene;
		const [mask, avoid, prefer] = await Promise.all(KINDS.map((kind) => maskFile(kind, image)));
		const files = { image: image.file, mask, avoid, prefer };
		const answers = [];
		for (const fields of requests(isKiosk)) answers.push(await requestRemoval(files, fields, calls));
		await showResults(answers, image.name);
		calls.signal.throwIfAborted();
		enter("result");
		tell("done");
		$.resultTitle.focus({ preventScroll: true });
	});
}

const setMask = (body) =>
	busy(async ({ signal }) => {
		await ask("live/mask", { method: "PUT", body, signal });
		reset();
		tell("done");
	});

function mark(how) {
	add({ kind: chosen("kind"), box: rectangle(), ...how });
	choose("tool", "brush");
	tell("marked");
}

const findObject = () =>
	busy(async (calls) => {
		const [kind, box] = [chosen("kind"), rectangle()];
		const shape = await stencil(await requestObject(scene.image.file, box, calls), box, hatching(kind));
		calls.signal.throwIfAborted();
		mark({ kind, box, shape });
	});

function goOn() {
	const image = takeResult();
	clearResults();
	reset();
	if (scene.image !== scene.original) closeImage(scene.image);
	scene.image = image;
	enter("mark");
	tell("paint");
}

function back() {
	clearResults();
	enter("mark");
	hush();
}

const brush = makeBrush(() => (chosen("tool") === "erase" ? "erase" : chosen("kind")));
const isMarking = () => hasMarks() && scene.image && !work;
const isRectangle = () => chosen("tool") === "rectangle";

function hand() {
	if (state === "result") return dividerTool;
	return isMarking() && (isRectangle() ? rectangleTool : brush);
}

function onTool() {
	$.rectanglePanel.hidden = !isRectangle();
	$.sizeLabel.hidden = isRectangle();
	if (isRectangle() && scene.image) placeRectangle();
	else removeRectangle();
}

const whileMarking = (act) => () => isMarking() && act();
const keyActions = {
	larger,
	smaller,
	fit,
	nearer: () => zoom(1.25),
	farther: () => zoom(0.8),
	undo: whileMarking(undo),
	redo: whileMarking(redo),
	rectangle: whileMarking(() => {
		choose("tool", "rectangle");
		$.stage.focus();
	}),
	enter: whileMarking(() => rectangle() && mark()),
	arrow(direction, isSize, isFine) {
		if (isMarking() && rectangle()) nudge(direction, isSize, isFine);
		else pan(...direction.map((value) => -value * STEP));
	},
	peek(isOn) {
		scene.peek = isOn;
		$.marksLayer.hidden = isOn || !hasMarks();
		redraw();
	},
	escape() {
		if (work) work.abort();
		else if (rectangle()) choose("tool", "brush");
		else if (state === "result") back();
		else hush();
	},
};

const openFrom = ([file]) => file && open(file, file.name.replace(/\.\w+$/, ""));

function setUpButtons() {
	const { farther, nearer } = keyActions;
	const clicks = { again: wipe, back, done: wipe, farther, findObject, fit, goOn, nearer, run: remove, save: saveResult };
	for (const id in clicks) $[id].onclick = clicks[id];
	$.markRectangle.onclick = () => mark();
	$.stop.onclick = () => setMask("");
	$.open.onclick = () => $.file.click();
	$.file.onchange = () => openFrom($.file.files);
	$.camera.hidden = !navigator.mediaDevices;
	$.camera.onclick = async () => open(await takePhoto().catch(() => tell("no_camera", { kind: "error" })), "photo");
	body.ondragover = (event) => event.preventDefault();
	body.ondrop = (event) => {
		event.preventDefault(); // or the browser would go to the file
		if (!isKiosk) openFrom(event.dataTransfer.files);
	};
	body.onpaste = (event) => !isKiosk && openFrom(event.clipboardData.files);
}

const asked = fetchInfo().catch((error) => ({ error }));
await loadWords();
setUpTools(onTool);
setUpResult();
setUpButtons();
setUpFullScreen();
onRectangle(([x, y, width, height]) => tell("rectangle_at", { filling: { x, y, width, height } }));
followPointer(() => isMarking() && !isRectangle());
listen(hand);
listenToKeys(keyActions);
resetTools();
enter(isLive ? "live" : "start");
performance.mark("interactive");

const info = await asked;
if (info.error) explain(info.error);
limits = info.limits;
resetTools(info.defaults);
isKiosk ||= info.kiosk;
if (isLive) startLive();
else if (isKiosk) setUpKiosk(info.idle_seconds, wipe);
body.dataset.ready = "";
