// SPDX-License-Identifier: MIT
// mjpeg-consumer as its README shows it; each JPEG goes to stdout behind its length in four bytes.
"use strict";

const http = require("node:http");
const MjpegConsumer = require("mjpeg-consumer");

http.get(process.argv[2], (answer) => {
  answer.pipe(new MjpegConsumer()).on("data", (jpeg) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(jpeg.length);
    process.stdout.write(Buffer.concat([length, jpeg]));
  });
});
