// A page of the front door, in Debian's Chromium: a WebSocket, server-sent events and Socket.IO in the page itself.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";

const front = process.env.VIGIE_URL;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ bypassCSP: true });
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(`${front}/docs/async`);
  await page.addScriptTag({ content: readFileSync("node_modules/socket.io-client/dist/socket.io.min.js", "utf8") });
  const seen = await page.evaluate(async () => {
    const first = (what, begin) =>
      new Promise((done, failed) => {
        setTimeout(() => failed(new Error(`nothing came by ${what}`)), 20000);
        begin(done);
      });
    const socket = await first("WebSocket", (done) => {
      const ws = new WebSocket(`ws://${location.host}/ws`);
      ws.onopen = () => ws.send(JSON.stringify({ type: "subscribe", channel: "system" }));
      ws.onmessage = (event) => JSON.parse(event.data).type === "system" && done(JSON.parse(event.data));
    });
    const stream = await first("EventSource", (done) => {
      const source = new EventSource("/api/stream?channel=system");
      source.addEventListener("system", (event) => { source.close(); done(JSON.parse(event.data)); });
    });
    const socketIo = await first("Socket.IO", (done) => {
      const io = window.io();
      io.emit("subscribe", { type: "system" });
      io.on("metrics", (data) => { io.close(); done(data); });
    });
    return { socket, stream, socketIo };
  });
  const foreign = asked.filter((url) => !url.startsWith(front));
  console.log(JSON.stringify({ ...seen, foreign }));
} finally {
  await browser.close();
}
