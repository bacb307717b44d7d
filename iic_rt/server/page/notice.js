// The line that says what goes on, with a button for what can be done about it.

import { $ } from "./dom.js";
import { put } from "./words.js";

const { action, detail, elapsed, message, notice, progress } = $;
const HINT = 6000; // milliseconds that one is shown
let clock;
let started;

// kind: "busy", "error" or "". said: more, in the server's words. offer: [key, what the button does].
export function tell(key, { filling, kind = "", said = "", offer } = {}) {
	const isBusy = kind === "busy";
	if (isBusy && notice.dataset.kind !== kind) started = performance.now();
	notice.dataset.kind = kind;
	notice.classList.toggle("shown", Boolean(key));
	put(message, key, filling);
	detail.textContent = said;
	elapsed.textContent = "";
	progress.hidden = !isBusy;
	action.hidden = !offer;
	put(action, offer?.[0] ?? "");
	action.onclick = offer?.[1];
	clearInterval(clock);
	if (isBusy) clock = setInterval(() => (elapsed.textContent = `${Math.floor((performance.now() - started) / 1000)} s`), 500);
	else if (key && !kind) clock = setTimeout(hush, HINT);
}

export const hush = () => tell("");
