// What came of the marks, beside the image.

import { $ } from "./dom.js";
import { closeImage, openImage, stencil } from "./image.js";
import { redraw, scene } from "./stage.js";
import { choose, chosen } from "./tools.js";
import { number, put } from "./words.js";

const UNSURE = "#d618c8cc"; // --unsure

let results = []; // answers, opened
const addresses = new Set();

// Of the divider: "before", "a" or "b". The right one is kept.
const sides = () => chosen("sides").split("-");
const kept = () => results[sides()[1] === "b" ? 1 : 0];

export async function showResults(answers, name) {
	clearResults();
	for (const answer of answers) {
		const image = await openImage(answer.image, name);
		const whole = [0, 0, image.width, image.height];
		const overlay = answer.confidence && (await stencil(answer.confidence, whole, UNSURE, true));
		results.push({ ...answer, image, overlay });
	}
	const isPair = results.length > 1;
	$.sides.hidden = !isPair;
	$.overlayLabel.hidden = !results[0].overlay;
	$.overlay.checked = false;
	setDivider(50);
	choose("sides", isPair ? "a-b" : "before-a");
}

// It is the caller's from then on.
export function takeResult() {
	const { image } = kept();
	kept().image = null;
	return image;
}

export function clearResults() {
	for (const { image } of results) closeImage(image);
	results = [];
	scene.before = scene.after = scene.overlay = null;
	$.strip.removeAttribute("src");
	for (const address of addresses) URL.revokeObjectURL(address);
	addresses.clear();
	$.leftTag.hidden = $.rightTag.hidden = true;
	redraw();
}

function addressOf(file) {
	const address = URL.createObjectURL(file);
	addresses.add(address);
	return address;
}

function show() {
	if (!results.length) return;
	const [left, right] = sides();
	const { image, overlay, iterations, info } = kept();
	scene.before = left === "a" ? results[0].image : null;
	scene.after = image;
	scene.overlay = $.overlay.checked ? overlay : null;
	put($.leftTag, left);
	put($.rightTag, left === "a" ? right : "after");
	const { iterations: count, time_ms, confidence, warnings = [] } = info ?? {};
	const filling = { count, seconds: number(time_ms / 1000, 1), confidence: number(100 * confidence) };
	put($.facts, info ? "facts" : "", filling);
	$.warnings.textContent = warnings.join(" ");
	$.stripBox.hidden = !iterations;
	if (iterations) $.strip.src = addressOf(iterations);
	redraw();
}

function setDivider(percent) {
	$.divider.value = percent;
	scene.split = $.divider.value / 100;
	$.leftTag.hidden = percent < 4;
	$.rightTag.hidden = percent > 96;
	redraw();
}

const drag = ({ x }) => setDivider((100 * x) / scene.image.width);
export const dividerTool = { start: drag, move: (points) => drag(points.at(-1)) };

export function saveResult() {
	const { file, name } = kept().image;
	const link = document.createElement("a");
	link.href = addressOf(file);
	link.download = `${name}-removed.${file.type.slice(6).replace("jpeg", "jpg")}`;
	link.click();
}

export function setUpResult() {
	$.divider.oninput = () => setDivider($.divider.value);
	$.overlay.onchange = $.sides.onchange = show;
}
