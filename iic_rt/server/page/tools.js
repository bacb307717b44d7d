// Which tool is in hand, and the options of a request.

import { setSize } from "./brush.js";
import { $ } from "./dom.js";
import { canRedo, canUndo, clear, isMarked, KINDS, onMarks, redo, undo } from "./marks.js";
import { put } from "./words.js";

const CHOICES = { iterations: [1, 2, 3, 4, 6, 8, 12, 16], grow: ["auto", 0, 2, 4, 8, 16, 32, 64] };
const defaults = { iterations: 4, grow: "auto", iterationsB: 1, growB: "auto" };

export const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;

export function choose(name, value) {
	const input = document.querySelector(`[name=${name}][value=${value}]`);
	input.checked = true;
	input.dispatchEvent(new Event("change", { bubbles: true }));
}

export function setUpTools(onTool) {
	for (const id in defaults) for (const value of CHOICES[id.replace("B", "")]) $[id].append(new Option(value, value));
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
		const can = { undo: canUndo(), redo: canRedo(), clear: KINDS.some(isMarked), run: isMarked("remove") };
		for (const id in can) $[id].ariaDisabled = !can[id];
	});
}

// found: the server's defaults {iterations, grow}.
export function resetTools(found) {
	Object.assign(defaults, found);
	choose("tool", "brush");
	choose("kind", "remove");
	$.options.reset();
	$.second.hidden = true;
	setSize($.size.defaultValue);
	for (const id in defaults) {
		$[id].value = defaults[id];
		if (!$[id].value) $[id].append(new Option(defaults[id], defaults[id], true, true));
	}
	for (const details of document.querySelectorAll("details")) details.open = false;
}

// The fields of one request, or of two to compare.
export function requests(isKiosk) {
	const common = {};
	if ($.format.value) common.format = $.format.value;
	if (!isKiosk) common.outputs = $.wantStrip.checked ? "confidence,iterations" : "confidence";
	const set = (end) => ({ iterations: $[`iterations${end}`].value, grow: $[`grow${end}`].value, ...common });
	return ($.compare.checked ? ["", "B"] : [""]).map(set);
}
