// Runs model.onnx on a picture with onnxruntime-web. The file takes raw pixels: what `prepare` says is inside of it.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1; // more need the headers of cross-origin isolation
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

const show = (id, text) => { document.getElementById(id).textContent = text; };

// The picture as the input wants it: [1, channels, height, width], bytes from 0 to 255 or numbers from 0 to 1.
function tensor(picture, { type, shape }) {
  const [, channels, height, width] = shape.map((size, at) => (typeof size === "number" ? size : [1, 1, picture.height, picture.width][at]));
  const canvas = document.querySelector("canvas");
  canvas.width = width;
  canvas.height = height;
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  paint.fillStyle = "white"; // where the picture is transparent
  paint.fillRect(0, 0, width, height);
  paint.drawImage(picture, 0, 0, width, height);
  const { data } = paint.getImageData(0, 0, width, height);
  const bytes = type === "uint8";
  const numbers = new (bytes ? Uint8Array : Float32Array)(channels * height * width);
  for (let at = 0; at < height * width; at++) {
    const [red, green, blue] = data.subarray(4 * at, 4 * at + 3);
    const grey = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16; // ITU-R 601, as Pillow rounds it
    const colours = channels === 1 ? [grey] : [red, green, blue];
    colours.forEach((colour, channel) => { numbers[channel * height * width + at] = bytes ? colour : colour / 255; });
  }
  return new ort.Tensor(type, numbers, [1, channels, height, width]);
}

async function predict(session, blob) {
  const [input] = session.inputMetadata;
  const made = await session.run({ [input.name]: tensor(await createImageBitmap(blob), input) });
  const outputs = Object.fromEntries(Object.entries(made).map(([name, value]) => [name, Array.from(value.data, Number)]));
  const [first] = Object.values(outputs);
  show("class", first.indexOf(Math.max(...first)));
  show("outputs", JSON.stringify(outputs));
}

try {
  const session = await ort.InferenceSession.create("model.onnx");
  document.querySelector("input").addEventListener("change", (event) => predict(session, event.target.files[0]));
  const given = new URLSearchParams(location.search).get("picture"); // index.html?picture=seven.png
  if (given) await predict(session, await (await fetch(given)).blob());
} catch (error) {
  show("outputs", `error: ${error.message}`);
}
