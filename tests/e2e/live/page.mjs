// A page of the front door, in Debian's Chromium. It runs each block of the how-to as it is printed, and tells what the
// block showed.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";

const front = process.env.VIGIE_URL;
const blocks = JSON.parse(process.env.BLOCKS);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ bypassCSP: true });
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(`${front}/docs/async`);
  await page.addScriptTag({ content: readFileSync("node_modules/socket.io-client/dist/socket.io.min.js", "utf8") });
  const seen = [];
  for (const block of blocks)
    seen.push(
      await page.evaluate(
        (code) =>
          new Promise((show, failed) => {
            setTimeout(() => failed(new Error(`nothing was shown by ${code}`)), 30000);
            new Function("show", "token", code)(show, "");
          }),
        block,
      ),
    );
  const foreign = asked.filter((url) => !url.startsWith(front));
  console.log(JSON.stringify({ title: await page.title(), seen, foreign }));
} finally {
  await browser.close();
}
