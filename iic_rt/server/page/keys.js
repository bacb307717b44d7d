// Keys. Without Ctrl they work with the mouse or on the stage, so that none does two things.

import { $ } from "./dom.js";
import { held } from "./pointer.js";

const { stage } = $;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NAMES = { "[": "smaller", "]": "larger", "+": "nearer", "-": "farther", 0: "fit", r: "rectangle" };

export function listenToKeys(actions) {
	let byKeyboard = false; // put the focus where it is
	let focusBefore = null; // Tab went down
	let isPeeking = false;

	addEventListener("pointerdown", () => (byKeyboard = false), true);
	addEventListener("keydown", (event) => {
		const { key, target } = event;
		const isControl = event.ctrlKey || event.metaKey;
		if (document.querySelector("dialog[open]")) return;
		if (key === "Tab") return tab(event);
		if (target.matches("select")) return;
		if (isControl && !(target === stage && key in ARROWS)) {
			const name = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key.toLowerCase()];
			if (name) event.preventDefault();
			return actions[name]?.();
		}
		if (key === "Escape") return actions.escape();
		const onStage = target === stage || target === document.body;
		if (!onStage && byKeyboard) return;
		if (key === " " && (onStage || held.over)) {
			event.preventDefault();
			hold(true);
		} else if (target === stage && key in ARROWS) {
			event.preventDefault();
			actions.arrow(ARROWS[key], event.shiftKey, isControl);
		} else if (onStage && key === "Enter") actions.enter();
		else actions[NAMES[key]]?.();
	});
	addEventListener("keyup", (event) => {
		if (event.key === "Tab") peek(false);
		if (event.key !== " " || !held.space) return;
		event.preventDefault(); // a button in focus is not pressed
		hold(false);
	});
	addEventListener("blur", () => {
		peek(false);
		hold(false);
	});

	function hold(isDown) {
		held.space = isDown;
		stage.classList.toggle("panning", isDown);
	}

	// A short press goes to the next element, as everywhere; held down, it shows the original.
	function tab(event) {
		byKeyboard = true;
		if (!event.repeat) return (focusBefore = document.activeElement);
		event.preventDefault();
		peek(true);
	}

	function peek(isOn) {
		if (isOn === isPeeking) return;
		isPeeking = isOn;
		actions.peek(isOn);
		if (!isOn) focusBefore.focus({ preventScroll: true });
	}
}
