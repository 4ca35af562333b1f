// SPDX-License-Identifier: MIT
// node-mjpeg-proxy as its README shows it; its port is printed, and what it hands on is read from there.
"use strict";

const http = require("node:http");
const MjpegProxy = require("node-mjpeg-proxy");

const proxy = new MjpegProxy(process.argv[2]);
const server = http.createServer(proxy.proxyRequest);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
