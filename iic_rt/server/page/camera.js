// A photo from the camera: a PNG file, or nothing.

import { $ } from "./dom.js";
import { redrawn } from "./image.js";

const SIZE = { width: { ideal: 1920 }, height: { ideal: 1080 } };

export async function takePhoto() {
	const { cameraClose, cameraDialog: dialog, snap, video } = $;
	const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", ...SIZE } });
	video.srcObject = stream;
	dialog.returnValue = "";
	dialog.showModal();
	snap.focus();
	snap.onclick = () => video.videoWidth && dialog.close("snap");
	cameraClose.onclick = () => dialog.close();
	await new Promise((done) => (dialog.onclose = done));
	const file = dialog.returnValue && (await redrawn(video, video.videoWidth, video.videoHeight));
	for (const track of stream.getTracks()) track.stop();
	video.srcObject = null;
	return file;
}
