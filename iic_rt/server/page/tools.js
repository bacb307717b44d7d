// The panel of tools: which one is in hand, and the options of a request.

import { setSize } from "./brush.js";
import { $ } from "./dom.js";
import { canRedo, canUndo, clear, isMarked, KINDS, onMarks, redo, undo } from "./marks.js";
import { put, word } from "./words.js";

const GROWTHS = [0, 2, 4, 8, 16, 32, 64];
const defaults = { iterations: 4, grow: "auto" };

export const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;

export function choose(name, value) {
	const input = document.querySelector(`[name=${name}][value=${value}]`);
	input.checked = true;
	input.dispatchEvent(new Event("change", { bubbles: true }));
}

// onTool(tool): called when another one is taken in hand.
export function setUpTools(onTool) {
	for (const list of [$.grow, $.growB]) {
		list.append(new Option("", "auto"), ...GROWTHS.map((pixels) => new Option(`${pixels} px`, pixels)));
		put(list.options[0], "auto");
	}
	document.onchange = ({ target }) => {
		if (target.name === "kind") {
			put($.kindHelp, `help_${target.value}`);
			if (chosen("tool") === "erase") choose("tool", "brush");
		}
		if (target.name === "tool") onTool(target.value);
		$.second.hidden = !$.compare.checked;
	};
	$.undo.onclick = undo;
	$.redo.onclick = redo;
	$.clear.onclick = clear;
	onMarks(showWhatCanBeDone);
	showWhatCanBeDone();
}

// Not `disabled`: a button that was just pressed would lose the focus.
function showWhatCanBeDone() {
	$.undo.ariaDisabled = !canUndo();
	$.redo.ariaDisabled = !canRedo();
	$.clear.ariaDisabled = !KINDS.some(isMarked);
	$.run.ariaDisabled = !isMarked("remove");
}

export function resetTools(found) {
	Object.assign(defaults, found);
	choose("kind", "remove");
	choose("tool", "brush");
	$.options.reset();
	$.second.hidden = true;
	setSize($.size.defaultValue);
	$.iterations.value = defaults.iterations;
	$.grow.value = defaults.grow;
	if (!$.grow.value) $.grow.append(new Option(`${defaults.grow} px`, defaults.grow, true, true));
	for (const details of document.querySelectorAll("details")) details.open = false;
}

// The fields of one request, or of two to compare.
export function requests(isKiosk) {
	const common = {};
	if ($.format.value) common.format = $.format.value;
	if (!isKiosk) common.outputs = $.wantStrip.checked ? "confidence,iterations" : "confidence";
	const first = { iterations: whole($.iterations), grow: $.grow.value, ...common };
	const second = { iterations: whole($.iterationsB), grow: $.growB.value, ...common };
	return $.compare.checked ? [first, second] : [first];
}

export const nameOf = ({ iterations, grow }) =>
	word("option_name", { iterations, grow: grow === "auto" ? word("auto") : `${grow} px` });

// The number in a field, put right where it is none of those allowed.
function whole(field) {
	field.value = Math.min(Math.max(Math.round(field.valueAsNumber) || defaults.iterations, field.min), field.max);
	return field.value;
}
