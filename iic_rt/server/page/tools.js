// The panel of tools: which one is in hand, and the options of a request.

import { setSize } from "./brush.js";
import { $ } from "./dom.js";
import { canRedo, canUndo, clear, isMarked, KINDS, onMarks, redo, undo } from "./marks.js";
import { put } from "./words.js";

const GROWTHS = [0, 2, 4, 8, 16, 32, 64];
const defaults = { iterations: 4, grow: "auto" };

export const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;

export function choose(name, value) {
	const input = document.querySelector(`[name=${name}][value=${value}]`);
	input.checked = true;
	input.dispatchEvent(new Event("change", { bubbles: true }));
}

// onTool: called when another one is taken in hand.
export function setUpTools(onTool) {
	for (const list of [$.grow, $.growB]) {
		list.append(new Option("", "auto"), ...GROWTHS.map((pixels) => new Option(`${pixels} px`, pixels)));
		put(list.options[0], "auto");
	}
	document.onchange = ({ target: { name, value } }) => {
		if (name === "kind") {
			put($.kindHelp, `help_${value}`);
			if (chosen("tool") === "erase") choose("tool", "brush");
		}
		if (name === "tool") onTool();
		$.second.hidden = !$.compare.checked;
	};
	$.undo.onclick = undo;
	$.redo.onclick = redo;
	$.clear.onclick = clear;
	onMarks(() => {
		// Not `disabled`: a button that was just pressed would lose the focus.
		$.undo.ariaDisabled = !canUndo();
		$.redo.ariaDisabled = !canRedo();
		$.clear.ariaDisabled = !KINDS.some(isMarked);
		$.run.ariaDisabled = !isMarked("remove");
	});
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

// The number in a field, put right where it is none of those allowed.
function whole(field) {
	field.value = Math.min(Math.max(Math.round(field.value) || defaults.iterations, field.min), field.max);
	return field.value;
}
