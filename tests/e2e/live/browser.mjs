// What the printed snippets find in a page: io, localStorage and WebSocket. They print http://localhost:3000; here that
// is the `vigie up` of the test. Everything that a WebSocket receives is also printed, because the snippet keeps it.
import { io as connect } from "socket.io-client";
import { WebSocket as Socket } from "ws";

const front = process.env.VIGIE_URL;

globalThis.io = (url, ...rest) => {
  const socket = connect(url.replace("http://localhost:3000", front), ...rest);
  socket.on("connect_error", (error) => console.log("connect_error", error.message));
  return socket;
};
globalThis.localStorage = { getItem: () => process.env.VIGIE_TOKEN };
globalThis.WebSocket = class extends Socket {
  constructor(url, ...rest) {
    super(url.replace("ws://localhost:3000", front.replace("http", "ws")), ...rest);
    this.on("message", (data) => console.log("received", data.toString()));
    this.on("close", (code, reason) => console.log("closed", code, reason.toString()));
    this.on("error", (error) => console.log("failed", error.message));
  }
};
