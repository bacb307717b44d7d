// Opens an image so that the server gets what is seen, the same way up.

const SIDE = 2048; // of the preview, which is drawn while the image is not enlarged
const TURNED = { "image/png": "eXIf", "image/webp": "EXIF" }; // of an orientation

// The file is for the server, the bitmaps to draw.
export async function openImage(file, name) {
	const full = await createImageBitmap(file, { imageOrientation: "from-image" });
	const { width, height } = full;
	const [resizeWidth, resizeHeight] = smaller(width, height);
	const preview = await createImageBitmap(full, { resizeWidth, resizeHeight, resizeQuality: "high" });
	return { file: (await isReadAlike(file)) ? file : await redrawn(full, width, height), name, width, height, full, preview };
}

export function closeImage(image) {
	image?.full.close();
	image?.preview.close();
}

// Every browser and the server turn a JPEG alike. Other files that are turned, or not sure to be known, are sent as drawn.
async function isReadAlike(file) {
	const mark = TURNED[file.type];
	return file.type === "image/jpeg" || (mark && !new TextDecoder("latin1").decode(await file.arrayBuffer()).includes(mark));
}

export function redrawn(source, width, height) {
	const canvas = new OffscreenCanvas(width, height);
	canvas.getContext("2d").drawImage(source, 0, 0);
	return canvas.convertToBlob();
}

function smaller(width, height) {
	const factor = Math.min(1, SIDE / Math.max(width, height));
	return [Math.ceil(width * factor), Math.ceil(height * factor)];
}

// A canvas of one colour, as opaque as a part of an image is bright, or dark.
export async function stencil(file, [x, y, width, height], colour, isDark) {
	const found = await createImageBitmap(file, x, y, width, height);
	const canvas = new OffscreenCanvas(...smaller(width, height));
	const context = canvas.getContext("2d");
	context.drawImage(found, 0, 0, canvas.width, canvas.height);
	found.close();
	const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
	const { data } = pixels;
	for (let i = 0; i < data.length; i += 4) data[i + 3] = isDark ? 255 - data[i] : data[i];
	context.putImageData(pixels, 0, 0);
	context.globalCompositeOperation = "source-in";
	context.fillStyle = colour;
	context.fillRect(0, 0, canvas.width, canvas.height);
	return canvas;
}
