// The handler that MindTickle's guide shows: Express, the same signature check, and events in memory
// only. `node express.mjs PORT SECRET`, in a folder with Express below node_modules.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createRequire } from "node:module";
import { cwd } from "node:process";

const express = createRequire(`${cwd()}/`)("express");
const [port, secret] = process.argv.slice(2);
const seen = new Map();
const app = express();

app.get("/healthz", (_request, response) => response.json({ alive: true }));

app.post("/webhooks/mindtickle", express.raw({ type: "application/json" }), (request, response) => {
  const sent = Buffer.from(request.get("x-mt-webhook-signature") ?? "");
  const signed = createHmac("sha256", secret)
    .update(`${request.get("x-mt-webhook-timestamp")}:`)
    .update(request.body)
    .digest("hex");
  const expected = Buffer.from(signed);
  if (sent.length !== expected.length || !timingSafeEqual(sent, expected)) {
    return response.status(403).json({ received: false });
  }
  const id = request.get("x-mt-event-id");
  if (seen.has(id)) return response.json({ duplicate: true });
  seen.set(id, JSON.parse(request.body));
  return response.json({ received: true });
});

app.listen(Number(port), "127.0.0.1");
