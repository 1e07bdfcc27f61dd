// node-redis, of the major version that the argument names.

import { credentials, drawTenfold, host, port, protocol, run, sleep, tls } from "./steps.mjs";

const { createClient, createClientPool, RESP_TYPES } = await import(`redis-${process.argv[2]}`);
const AS_STRINGS = { [RESP_TYPES.NUMBER]: String };
const OPTIONS = {
  socket: tls ? { host, port, tls: true, ...tls } : { host, port },
  ...credentials,
  ...(protocol && { RESP: protocol }),
};

let client;
let exact;

async function open(options = {}) {
  const opened = createClient({ ...OPTIONS, ...options });
  opened.on("error", () => {}); // without a listener the process ends when the connection does
  await opened.connect();
  return opened;
}

function pipelined() {
  const pipeline = exact.multi();
  for (let i = 0; i < 1_000; i++) pipeline.incr("orders");
  return pipeline.execAsPipeline();
}

// The reply to EXEC is not mapped, so here it has to be a command that is answered with a string.
function transaction() {
  const multi = client.multi();
  for (let i = 0; i < 10; i++) multi.addCommand(["ID.NEXT", "AS", "STRING"]);
  return multi.exec();
}

await run({
  async connect() {
    client?.destroy();
    client = await open();
    exact = client.withTypeMapping(AS_STRINGS);
  },
  ping: () => client.ping(),
  incr: () => exact.incr("orders"),
  default_incr: async () => BigInt(await client.incr("orders")),
  // BigInt is no type that node-redis maps integers to. It ignores the mapping.
  async big_int() {
    const mapped = client.withTypeMapping({ [RESP_TYPES.NUMBER]: BigInt });
    const ids = await Promise.all(Array.from({ length: 1_000 }, () => mapped.incr("orders")));
    return ids.map(id => BigInt(id)); // prints a double's digits without an exponent
  },
  pipeline: pipelined,
  transaction,
  block: () => exact.incrBy("orders", 100),
  string: () => client.sendCommand(["ID.NEXT", "AS", "STRING"]),
  async pool() {
    const pool = await createClientPool(OPTIONS, { minimum: 10, maximum: 10 }).connect();
    const ids = await drawTenfold(() => pool.withTypeMapping(AS_STRINGS).incr("orders"));
    await pool.close();
    return ids;
  },
  async idle() {
    const pinging = await open({ pingInterval: 1_000 });
    const draw = () => pinging.withTypeMapping(AS_STRINGS).incr("orders");
    const first = await draw();
    await sleep(2_000);
    const ids = [first, await draw()];
    await pinging.close();
    return ids;
  },
  close: () => client.close(),
});
