#!/usr/bin/env node
// Starts the program of this system's package in our place, or beside us where Node cannot be replaced.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");

const system = `${process.platform}-${process.arch}`;
const name = process.platform === "win32" ? "braid.exe" : "braid";

let program;
try {
  program = require.resolve(`mcp-braid-${system}/bin/${name}`);
} catch {
  process.stderr.write(
    `braid: the package mcp-braid-${system} is not installed. Either npm was told to leave optional packages out, ` +
      "or there is no build for this system: with a Rust toolchain, `cargo install mcp-braid --locked` makes one.\n",
  );
  process.exit(1);
}

const args = process.argv.slice(2);
if (typeof process.execve === "function" && process.platform !== "win32") {
  try {
    process.execve(program, [program, ...args], process.env);
  } catch {
    // A Node that knows the function and may not use it.
  }
}

const child = spawn(program, args, { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  process.stderr.write(`braid: cannot start ${program}: ${error.message}\n`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
});
