// The result beside what it was made from: divider, confidence, iterations, and which of two is kept.

import { $ } from "./dom.js";
import { closeImage, openImage, stencil } from "./image.js";
import { redraw, scene } from "./stage.js";
import { choose, chosen, nameOf } from "./tools.js";
import { number, put } from "./words.js";

const UNSURE = "#d618c8";
const SAVED_FOR = 60_000; // milliseconds that a download may take to begin

let results = []; // {image, overlay, iterations, info, fields}
const addresses = new Set(); // of files that are shown or saved

// What is on the two sides of the divider: "before", "a" or "b". The right one is kept.
const sides = () => chosen("sides").split("-");
const kept = () => results[sides()[1] === "b" ? 1 : 0];

// answers: {image, confidence, iterations, info, fields}, one or two.
export async function showResults(answers, name) {
	clearResults();
	for (const answer of answers) {
		const image = await openImage(answer.image, name);
		const whole = [0, 0, image.width, image.height];
		const overlay = answer.confidence && (await stencil(answer.confidence, whole, UNSURE, true));
		results.push({ ...answer, image, overlay });
	}
	const [first, second] = results;
	$.sides.hidden = !second;
	$.pairNames.textContent = second ? `A: ${nameOf(first.fields)} B: ${nameOf(second.fields)}` : "";
	$.overlayLabel.hidden = !first.overlay;
	$.overlay.checked = false;
	setDivider(50);
	choose("sides", second ? "a-b" : "before-a");
}

// The image to go on from: it is the caller's from then on.
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

function address(file) {
	const made = URL.createObjectURL(file);
	addresses.add(made);
	return made;
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
	put($.facts, info.confidence === undefined ? "facts_short" : "facts", {
		iterations: info.iterations,
		seconds: number(info.time_ms / 1000, 1),
		confidence: number(100 * info.confidence),
	});
	$.warnings.textContent = info.warnings.join(" ");
	$.stripBox.hidden = !iterations;
	if (iterations) $.strip.src = address(iterations);
	redraw();
}

function setDivider(percent) {
	$.divider.value = percent;
	scene.split = $.divider.value / 100;
	$.leftTag.hidden = percent < 4;
	$.rightTag.hidden = percent > 96;
	redraw();
}

// Dragging on the stage moves the divider.
const drag = ({ x }) => setDivider((100 * x) / scene.image.width);
export const dividerTool = { start: drag, move: (points) => drag(points.at(-1)), cancel() {} };

export function saveResult() {
	const { file, name } = kept().image;
	const link = document.createElement("a");
	link.href = address(file);
	link.download = `${name}-removed.${file.type.slice(6).replace("jpeg", "jpg")}`;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), SAVED_FOR);
}

export function setUpResult() {
	$.divider.oninput = () => setDivider($.divider.value);
	$.overlay.onchange = $.sides.onchange = show;
}
