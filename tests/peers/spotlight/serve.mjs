// Runs Spotlight's sidecar on the loopback interface. The stock command binds every interface and reports to its vendor.
// Usage: node serve.mjs PORT
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const done = rest.find((argument) => typeof argument === "function");
  return listen.call(this, { port, host: "127.0.0.1" }, done);
};

const { startServer } = await import("./node_modules/@spotlightjs/spotlight/dist/server/main.js");
await startServer({ port: Number(process.argv[2]) });
