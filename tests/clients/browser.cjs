// SPDX-License-Identifier: MIT
// A browser shows Ringcast's page; what its picture shows is printed, a line of JSON each time it is looked at.
//
// The pixels are read inside the page, from the <img> itself: a screenshot takes longer than a frame.
// A line is [UNIX_SECONDS, [[RED, GREEN, BLUE], ...]].
"use strict";

const puppeteer = require("puppeteer-core");

const [browser, executablePath, url, everyMs, spotPx, spots] = process.argv.slice(2);
const chromiumArguments = [
  "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update", "--force-device-scale-factor=1",
];

function look(everyMs, spotPx, spots) {
  const picture = document.querySelector("img");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const mean = (pixels, left, top) => {
    const sums = [0, 0, 0];
    for (let y = top; y < top + spotPx; y++)
      for (let x = left; x < left + spotPx; x++)
        for (let colour = 0; colour < 3; colour++) sums[colour] += pixels[4 * (y * canvas.width + x) + colour];
    return sums.map((sum) => sum / spotPx ** 2);
  };
  const seen = (window.seen = []);
  const lookOnce = async () => {
    if (picture.naturalWidth) {
      if (canvas.width !== picture.naturalWidth) {
        [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
      }
      const bitmap = await createImageBitmap(picture);
      context.drawImage(bitmap, 0, 0);
      bitmap.close();
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      seen.push([Date.now() / 1000, spots.map(([left, top]) => mean(pixels, left, top))]);
    }
    if (everyMs) setTimeout(lookOnce, everyMs);
    else requestAnimationFrame(lookOnce);
  };
  lookOnce();
}

async function main() {
  const running = await puppeteer.launch({
    browser, executablePath, headless: true, timeout: 60000, protocolTimeout: 60000,
    args: browser === "chrome" ? chromiumArguments : [],
    defaultViewport: { width: 1100, height: 1000 },
  });
  const page = (await running.pages())[0] || (await running.newPage());
  await page.goto(url, { waitUntil: "domcontentloaded", timeout: 60000 });
  await page.evaluate(look, Number(everyMs), Number(spotPx), JSON.parse(spots));
  for (;;) {
    const seen = await page.evaluate(() => window.seen.splice(0).map((one) => JSON.stringify(one)).join("\n"));
    if (seen) process.stdout.write(seen + "\n");
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
