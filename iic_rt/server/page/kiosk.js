// Kiosk mode: nothing to select, no menus, and all is wiped when nobody is there.

import { $ } from "./dom.js";
import { put } from "./words.js";

const LONGEST_WARNING = 20; // seconds
const stop = (event) => event.preventDefault();

export function setUpKiosk(idleSeconds, wipe) {
	document.documentElement.classList.add("kiosk");
	for (const name of ["contextmenu", "selectstart", "dragstart"]) addEventListener(name, stop);
	const dialog = $.idleDialog;
	const warning = Math.min(LONGEST_WARNING, idleSeconds / 2);
	let last;
	const stay = () => {
		last = performance.now();
		dialog.close();
	};
	for (const name of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(name, stay, true);
	stay();
	setInterval(() => {
		if (!$.progress.hidden) last = performance.now(); // it is the person who waits
		const left = idleSeconds - (performance.now() - last) / 1000;
		if (left <= 0) {
			stay();
			wipe();
		} else if (left <= warning && (document.body.dataset.state !== "start" || $.cameraDialog.open)) {
			put($.idleText, "idle", { seconds: Math.ceil(left) });
			if (!dialog.open) dialog.showModal();
		}
	}, 250);
}

export function setUpFullScreen() {
	$.full.hidden = !document.fullscreenEnabled;
	$.full.onclick = () =>
		document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
}
