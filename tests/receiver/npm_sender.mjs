// Sends one delivery, signed by the clients from npm in the working directory. Standard input has a JSON
// object: the address, the body, the secret, and under which clients' headers to send it, with the ID of
// each, as {"svix": "msg-1"}. Prints the status and the answer.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.cwd()}/`);
const CLIENTS = {
  standardwebhooks: { prefix: "webhook", Webhook: require("standardwebhooks").Webhook },
  svix: { prefix: "svix", Webhook: require("svix").Webhook },
};

const sent = JSON.parse(await text(process.stdin));
const at = new Date();
const headers = { "content-type": "application/json" };
for (const [client, id] of Object.entries(sent.ids)) {
  const { prefix, Webhook } = CLIENTS[client];
  headers[`${prefix}-id`] = id;
  headers[`${prefix}-timestamp`] = String(Math.floor(at / 1000));
  headers[`${prefix}-signature`] = new Webhook(sent.secret).sign(id, at, sent.body);
}
const response = await fetch(sent.url, { method: "POST", headers, body: sent.body });
console.log(JSON.stringify([response.status, await response.json()]));
