// What goes on, in words, with a button for what can be done about it.

import { $ } from "./dom.js";
import { put } from "./words.js";

const { action, detail, message, notice, progress } = $;
const HINT = 6000; // milliseconds that one is shown
let clock;

// kind: "busy", "error" or "". said: more, in the server's words. offer: [key, what the button does].
export function tell(key, { filling, kind = "", said = "", offer } = {}) {
	notice.dataset.kind = kind;
	notice.classList.toggle("shown", Boolean(key));
	put(message, key, filling);
	detail.textContent = said;
	progress.hidden = kind !== "busy";
	action.hidden = !offer;
	put(action, offer?.[0] ?? "");
	action.onclick = offer?.[1];
	clearTimeout(clock);
	if (key && !kind) clock = setTimeout(hush, HINT);
}

export const hush = () => tell("");
