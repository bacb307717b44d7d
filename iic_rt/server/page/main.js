// The page from opening an image to saving the result: what follows what.

import { followPointer, larger, makeBrush, smaller } from "./brush.js";
import { hasCamera, takePhoto } from "./camera.js";
import { $ } from "./dom.js";
import { closeImage, openImage, stencil } from "./image.js";
import { listenToKeys } from "./keys.js";
import { setUpFullScreen, setUpKiosk } from "./kiosk.js";
import { add, hatching, isMarked, KINDS, maskFile, redo, reset, undo } from "./marks.js";
import { hush, tell } from "./notice.js";
import { listen } from "./pointer.js";
import { nudge, onRectangle, placeRectangle, rectangle, rectangleTool, removeRectangle } from "./rectangle.js";
import { clearResults, dividerTool, saveResult, setUpResult, showResults, takeResult } from "./result.js";
import { fetchInfo, requestObject, requestRemoval } from "./server.js";
import { fit, pan, redraw, scene, zoom } from "./stage.js";
import { choose, chosen, requests, resetTools, setUpTools } from "./tools.js";
import { loadWords, number, setLanguage } from "./words.js";

const { body } = document;
const STEP = 48; // CSS pixels by which an arrow key moves the image

let state; // "start", "mark" or "result"
let limits = { megapixels: Infinity, bytes: Infinity };
let isKiosk = new URLSearchParams(location.search).has("kiosk");
let work = null; // AbortController of the request under way

function enter(next) {
	state = body.dataset.state = next;
	$.start.hidden = state !== "start";
	$.markPanel.hidden = $.marksLayer.hidden = state !== "mark";
	$.resultPanel.hidden = state !== "result";
	if (state === "mark") $.stage.focus({ preventScroll: true });
	redraw();
}

// Images

async function open(file, name = "image") {
	if (!file || work) return;
	let image;
	try {
		image = await openImage(file, name);
	} catch {
		return tell("not_an_image", { kind: "error" });
	}
	const size = [(image.width * image.height) / 1e6, image.file.size / 1e6];
	const most = [limits.megapixels, limits.bytes / 1e6];
	if (size.some((value, i) => value > most[i])) {
		closeImage(image);
		const [megapixels, megabytes, mostPixels, mostBytes] = [...size, ...most].map((value) => number(value, 1));
		return tell("too_large", { kind: "error", filling: { megapixels, megabytes, mostPixels, mostBytes } });
	}
	forget();
	scene.image = scene.original = image;
	fit();
	enter("mark");
	tell("opened", { filling: image });
}

// Lets go of the images and all that was made of them.
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

// Requests

// Does one thing at a time, which can be stopped, and says what became of it.
async function busy(key, task) {
	if (work) return;
	work = new AbortController();
	const { signal } = work;
	const working = (word, filling) => tell(word, { kind: "busy", filling, offer: ["cancel", () => work.abort()] });
	const waiting = (seconds, attempt) => working("server_busy", { seconds, attempt });
	working(key);
	body.classList.add("busy");
	try {
		await task({ signal, waiting, working });
	} catch (error) {
		if (!signal.aborted) return explain(error, () => busy(key, task));
		clearResults();
		if (scene.image) tell("cancelled");
	} finally {
		work = null;
		body.classList.remove("busy");
	}
}

function explain({ kind, message }, retry) {
	const key = kind === "dead" ? "server_dead" : "failed";
	tell(key, { kind: "error", said: message, offer: retry && ["try_again", retry] });
}

function remove() {
	if (!isMarked("remove")) return tell("mark_first");
	busy("removing", async ({ signal, waiting, working }) => {
		const { image } = scene;
		const [mask, avoid, prefer] = await Promise.all(KINDS.map((kind) => maskFile(kind, image)));
		const answers = [];
		for (const fields of requests(isKiosk)) {
			if (answers.length) working("removing_second");
			const answer = await requestRemoval({ image: image.file, mask, avoid, prefer }, fields, { signal, waiting });
			answers.push({ ...answer, fields });
		}
		await showResults(answers, image.name);
		signal.throwIfAborted();
		enter("result");
		tell("removed");
		$.resultTitle.focus({ preventScroll: true });
	});
}

const findObject = () =>
	busy("finding", async (calls) => {
		const box = rectangle();
		const [x, y, width, height] = box;
		const mask = await requestObject(scene.image.file, [x, y, x + width, y + height], calls);
		const kind = chosen("kind");
		const shape = await stencil(mask, box, hatching(kind));
		calls.signal.throwIfAborted();
		add({ kind, box, shape });
		choose("tool", "brush");
		tell("found");
	});

function markRectangle() {
	add({ kind: chosen("kind"), box: rectangle() });
	choose("tool", "brush");
	tell("marked");
}

function goOn() {
	const image = takeResult();
	clearResults();
	reset();
	if (scene.image !== scene.original) closeImage(scene.image);
	scene.image = image;
	enter("mark");
	tell("going_on");
}

function back() {
	clearResults();
	enter("mark");
	tell("marks_kept");
}

// Hands

const brush = makeBrush(() => (chosen("tool") === "erase" ? "erase" : chosen("kind")));
const isMarking = () => state === "mark" && !work;

function hand() {
	if (state === "result") return dividerTool;
	return isMarking() ? (chosen("tool") === "rectangle" ? rectangleTool : brush) : null;
}

function onTool(tool) {
	const isRectangle = tool === "rectangle";
	$.rectanglePanel.hidden = !isRectangle;
	$.sizeLabel.hidden = isRectangle;
	$.stage.dataset.tool = tool;
	if (isRectangle && scene.image) placeRectangle();
	else removeRectangle();
}

function sayRectangle() {
	const [x, y, width, height] = rectangle();
	tell("rectangle_at", { filling: { x, y, width, height } });
}

const whileMarking = (act) => () => isMarking() && act();
const withImage = (act) => () => scene.image && act();
const views = {
	nearer: withImage(() => zoom(1.25)),
	farther: withImage(() => zoom(0.8)),
	fit,
};

const keyActions = {
	...views,
	larger,
	smaller,
	undo: whileMarking(undo),
	redo: whileMarking(redo),
	rectangle: whileMarking(() => {
		choose("tool", "rectangle");
		$.stage.focus();
	}),
	enter: whileMarking(() => rectangle() && markRectangle()),
	arrow(direction, isSize, isFine) {
		if (isMarking() && rectangle()) nudge(direction, isSize, isFine);
		else if (scene.image) pan(...direction.map((value) => -value * STEP));
	},
	peek(isOn) {
		scene.peek = isOn;
		$.marksLayer.hidden = isOn || state !== "mark";
		redraw();
	},
	escape() {
		if (work) work.abort();
		else if (rectangle()) choose("tool", "brush");
		else if (state === "result") back();
		else hush();
	},
};

// Set-up

function openFrom([file]) {
	if (file) open(file, file.name.replace(/\.\w+$/, ""));
}

async function snap() {
	try {
		await open((await takePhoto()) ?? undefined, "photo");
	} catch {
		tell("no_camera", { kind: "error" });
	}
}

function setUpButtons() {
	const clicks = { ...views, run: remove, markRectangle, findObject, back, goOn, save: saveResult, done: wipe, again: wipe };
	for (const id in clicks) $[id].onclick = clicks[id];
	for (const button of document.querySelectorAll(".open")) button.onclick = () => $.file.click();
	for (const button of document.querySelectorAll(".snap")) {
		button.hidden = !hasCamera;
		button.onclick = snap;
	}
	$.file.onchange = () => openFrom($.file.files);
	body.ondragover = (event) => event.preventDefault();
	body.ondrop = (event) => {
		event.preventDefault(); // or the browser would go to the file
		if (!isKiosk) openFrom(event.dataTransfer.files);
	};
	addEventListener("paste", (event) => !isKiosk && openFrom(event.clipboardData.files));
}

const asked = fetchInfo().catch((error) => ({ error }));
await loadWords();
setUpTools(onTool);
setUpResult();
setUpButtons();
setUpFullScreen();
onRectangle(sayRectangle);
followPointer(() => isMarking() && chosen("tool") !== "rectangle");
listen(hand);
listenToKeys(keyActions);
resetTools();
enter("start");
performance.mark("interactive");

const { defaults, error, idle_seconds: idleSeconds, kiosk, ...info } = await asked;
if (error) explain(error);
limits = info.limits ?? limits;
resetTools(defaults);
isKiosk ||= kiosk;
const isEmpty = () => state === "start" && !$.cameraDialog.open;
if (isKiosk) setUpKiosk({ idleSeconds, isAtWork: () => work, isEmpty, wipe });
body.dataset.ready = "";
