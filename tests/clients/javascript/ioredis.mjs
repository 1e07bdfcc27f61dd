// ioredis, of the major version that the argument names.

import { credentials, drawTenfold, host, patience, port, protocol, run, sleep, tls } from "./steps.mjs";

const { Redis } = await import(`ioredis-${process.argv[2]}`);
const OPTIONS = { host, port, connectTimeout: patience, ...credentials, ...(tls && { tls }), ...(protocol && { protocol }) };

let client;
let exact;

function open(options) {
  const opened = new Redis({ ...OPTIONS, ...options });
  opened.on("error", () => {}); // without a listener it prints each failed attempt to connect
  return opened;
}

async function queued(start, count) {
  for (let i = 0; i < count; i++) start.incr("orders");
  return (await start.exec()).map(([error, id]) => {
    if (error) throw error;
    return id;
  });
}

await run({
  connect() {
    client?.disconnect();
    exact?.disconnect();
    client = open();
    exact = open({ stringNumbers: true });
  },
  ping: () => client.ping(),
  incr: () => exact.incr("orders"),
  default_incr: async () => BigInt(await client.incr("orders")),
  pipeline: (count = 1_000) => queued(exact.pipeline(), count),
  transaction: (count = 10) => queued(exact.multi(), count),
  block: () => exact.incrby("orders", 100),
  string: () => client.call("ID.NEXT", "AS", "STRING"),
  async pool() {
    const clients = Array.from({ length: 10 }, () => open({ stringNumbers: true }));
    const ids = await drawTenfold((i) => clients[i].incr("orders"));
    await Promise.all(clients.map((each) => each.quit()));
    return ids;
  },
  async idle() {
    const first = await exact.incr("orders");
    await sleep(2_000);
    return [first, await exact.incr("orders")];
  },
  async close() {
    await Promise.all([client.quit(), exact.quit()]);
  },
});
