// Requests, repeated while the server is busy. Errors have a `kind`: its word, or "dead" if it does not answer.

import { word } from "./words.js";

const failure = (kind, detail = "") => Object.assign(new Error(detail), { kind });

// A kiosk is given its token in the address, behind the #, which no server sees.
let token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) history.replaceState(null, "", location.pathname + location.search);

export const fetchInfo = async () => (await ask("v1/info")).json();

// files: {image, mask, avoid, prefer}. Gives {image}, and {confidence, iterations, info} if there are outputs.
export async function requestRemoval(files, fields, calls) {
	const answer = await post("v1/remove", files, fields, calls);
	return whole(async () => {
		if (!fields.outputs) return { image: await answer.blob() };
		const parts = Object.fromEntries(await answer.formData());
		return { ...parts, info: JSON.parse(parts.info) };
	});
}

// Gives a mask of the object in a box [x, y, width, height].
export async function requestObject(image, [x, y, width, height], calls) {
	const answer = await post("v1/object", { image }, { box: [x, y, x + width, y + height].join() }, calls);
	return whole(() => answer.blob());
}

// calls: {signal, waiting(seconds, attempt)}.
function post(path, files, fields, { signal, waiting }) {
	const body = new FormData();
	for (const name in files) if (files[name]) body.append(name, files[name], name); // its own name is nobody's business
	for (const name in fields) body.append(name, fields[name]);
	return ask(path, { method: "POST", body, signal }, waiting);
}

export async function ask(path, request, waiting) {
	for (let attempt = 1; ; attempt++) {
		const headers = token ? { Authorization: `Bearer ${token}` } : {};
		const answer = await whole(() => fetch(path, { ...request, headers }));
		if (answer.ok) return answer;
		if (answer.status === 401 && (token = prompt(word("token")))) continue;
		if (!waiting || ![429, 503].includes(answer.status)) {
			const { error = "failed", detail } = await answer.json().catch(() => ({}));
			throw failure(error, detail);
		}
		for (let left = Math.ceil(Number(answer.headers.get("Retry-After")) || 2); left > 0; left--) {
			waiting(left, attempt);
			await new Promise((done) => setTimeout(done, 1000));
			request.signal?.throwIfAborted();
		}
	}
}

async function whole(receive) {
	try {
		return await receive();
	} catch (error) {
		throw error.name === "AbortError" ? error : failure("dead");
	}
}
