// Prefill and decode speed of wllama (llama.cpp as WebAssembly) in headless Chromium, as one line of JSON.
//
//     node wllama.mjs '{"model":"FILE","promptTokens":512,"genTokens":128,"threads":1,"home":"FOLDER",
//       "chromium":"FILE","prompts":{"warmUp":{"text":"...","tokens":32},"prefill":{...},"decode":{...}}}'
//
// `home` is the folder whose node_modules holds @wllama/wllama and playwright-core.
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, normalize } from "node:path";
import { pipeline } from "node:stream";

const { home, chromium: executablePath, model, ...settings } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${home}/package.json`)("playwright-core");
const wllamaFolder = join(home, "node_modules", "@wllama", "wllama");
const { version } = JSON.parse(readFileSync(join(wllamaFolder, "package.json"), "utf8"));

const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
const PAGE = "<!doctype html><meta charset=utf-8><script type=module src=/page.js></script>";

/** The file of a request; nothing outside the package is served but the model and the page's script. */
function fileOf(path) {
  if (path === "/model.gguf") return model;
  if (path === "/page.js") return join(import.meta.dirname, "wllama_page.js");
  return path.startsWith("/esm/") ? join(wllamaFolder, normalize(path)) : undefined;
}

/** Without these headers a page has no SharedArrayBuffer, so no threads. */
const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
};

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") {
    response.writeHead(200, { ...ISOLATED, "content-type": TYPES.html }).end(PAGE);
    return;
  }
  const file = fileOf(pathname);
  const size = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    response.writeHead(404, ISOLATED).end();
    return;
  }
  const type = TYPES[file.split(".").at(-1)] ?? "application/octet-stream";
  response.writeHead(200, { ...ISOLATED, "content-type": type, "content-length": size });
  pipeline(createReadStream(file), response, () => undefined);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => globalThis.measure !== undefined, undefined, { timeout: 60_000 });
  const figures = await page.evaluate((given) => globalThis.measure(given), settings);
  console.log(JSON.stringify({ version, browser: browser.version(), ...figures }));
} finally {
  await browser.close();
  server.close();
}
