// Words in the browser's language, or the one that was chosen.

import { $ } from "./dom.js";

let all = {};
let language = 0; // which of the words of each list
const fillings = new WeakMap(); // of the gaps in words

export const word = (key, filling) => all[key][language].replace(/\{(\w+)\}/g, (_, name) => filling[name]);
export const number = (value, digits = 0) => value.toLocaleString(all.codes[language], { maximumFractionDigits: digits });

export async function loadWords() {
	all = await (await fetch(new URL("words.json", import.meta.url))).json();
	$.language.onclick = () => setLanguage(next());
	setLanguage();
}

// Words that change with the language from then on.
export function put(element, key, filling) {
	element.dataset.word = key;
	fillings.set(element, filling);
	element.textContent = key && word(key, filling);
}

const preferred = () => navigator.languages.map((name) => all.codes.indexOf(name.slice(0, 2))).find((place) => place >= 0) ?? 0;
const next = () => (language + 1) % all.codes.length;

export function setLanguage(chosen = preferred()) {
	language = chosen;
	document.documentElement.lang = all.codes[language];
	document.title = word("title");
	for (const element of document.querySelectorAll("[data-word]:not([data-word=''])")) {
		put(element, element.dataset.word, fillings.get(element));
	}
	for (const element of document.querySelectorAll("[data-label]")) {
		element.title = element.ariaLabel = word(element.dataset.label);
	}
	$.language.lang = all.codes[next()];
	$.language.textContent = all.names[next()];
}
