// SPDX-License-Identifier: MIT
// A browser whose tabs a test opens, looks at and brings to the front: an order and its answer are a line of JSON each.
"use strict";

const readline = require("readline");

const puppeteer = require("puppeteer-core");

const [browser, executablePath, spotPx, spots, preferences] = process.argv.slice(2);
const chromiumArguments = [
  "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update", "--force-device-scale-factor=1",
];
const tabs = [];

async function look(spotPx, spots) {
  const picture = document.querySelector("img"), state = document.documentElement.dataset.state;
  const words = document.querySelector("[role=status]").textContent;
  // Firefox draws an old frame where it is given the <img>
  const bitmap = picture && (await createImageBitmap(picture).catch(() => null));
  if (!bitmap) return [state, words, picture && picture.src, null];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const mean = ([left, top]) => {
    const sums = [0, 0, 0], { data } = context.getImageData(left, top, spotPx, spotPx);
    data.forEach((shade, place) => { if (place % 4 < 3) sums[place % 4] += shade; });
    return sums.map((sum) => sum / spotPx ** 2);
  };
  return [state, words, picture.src, spots.map(mean)];
}

async function obey(running, { what, tab, text }) {
  const page = tabs[tab];
  if (what === "new") {
    const opened = await running.newPage();
    opened.asked = [];
    opened.on("request", (request) => opened.asked.push(request.url()));
    if (text) await opened.evaluateOnNewDocument(text);
    return tabs.push(opened) - 1;
  }
  if (what === "go") return void (await page.goto(text, { waitUntil: "domcontentloaded", timeout: 60000 }));
  if (what === "look") return page.evaluate(look, Number(spotPx), JSON.parse(spots));
  if (what === "evaluate") return page.evaluate(text);
  if (what === "front") return page.bringToFront();
  if (what === "asked") return page.asked;
  if (what === "photograph") return void (await page.screenshot({ path: text }));
  throw new Error(`expected an order, got ${what}`);
}

async function main() {
  const running = await puppeteer.launch({
    browser, executablePath, headless: true, timeout: 60000, protocolTimeout: 60000,
    extraPrefsFirefox: JSON.parse(preferences),
    args: browser === "chrome" ? chromiumArguments : [],
    defaultViewport: { width: 900, height: 900 },
  });
  for await (const order of readline.createInterface({ input: process.stdin })) {
    const answer = await obey(running, JSON.parse(order)).then((told) => ({ told }), (error) => ({ error: String(error) }));
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await running.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
