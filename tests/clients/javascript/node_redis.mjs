// node-redis, of the major version that the argument names.

import { credentials, drawTenfold, host, patience, port, protocol, repeat, run, sleep, tls } from "./steps.mjs";

const { createClient, createClientPool, RESP_TYPES } = await import(`redis-${process.argv[2]}`);
const AS_STRINGS = { [RESP_TYPES.NUMBER]: String };
const OPTIONS = {
  socket: { host, port, connectTimeout: patience, ...(tls && { tls: true, ...tls }) },
  ...credentials,
  ...(protocol && { RESP: protocol }),
};

let client;
let exact;
let movers; // clients of the step load

async function open(options = {}) {
  const opened = createClient({ ...OPTIONS, ...options });
  opened.on("error", () => {}); // without a listener the process ends when the connection does
  await opened.connect();
  return opened;
}

function pipelined(mapped, count) {
  const pipeline = mapped.multi();
  for (let i = 0; i < count; i++) pipeline.incr("orders");
  return pipeline.execAsPipeline();
}

// The reply to EXEC is not mapped, so here it has to be a command that is answered with a string.
function transaction(plain) {
  const multi = plain.multi();
  for (let i = 0; i < 10; i++) multi.addCommand(["ID.NEXT", "AS", "STRING"]);
  return multi.exec();
}

// For the benchmark, which does not look at the IDs, and also asks Redis.
function inexact(plain, count) {
  const multi = plain.multi();
  for (let i = 0; i < count; i++) multi.incr("orders");
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
  pipeline: (count = 1_000) => pipelined(exact, count),
  transaction: (count) => (count ? inexact(client, count) : transaction(client)),
  block: () => exact.incrBy("orders", 100),
  string: () => client.sendCommand(["ID.NEXT", "AS", "STRING"]),
  async pool() {
    const pool = await createClientPool(OPTIONS, { minimum: 10, maximum: 10, acquireTimeout: patience }).connect();
    const ids = await drawTenfold(() => pool.withTypeMapping(AS_STRINGS).incr("orders"));
    await pool.close();
    return ids;
  },
  // With the default type the message that respid sends would end the process, so there it sends none.
  async load() {
    movers ??= await Promise.all(Array.from({ length: 10 }, () => open({ maintEndpointType: "none" })));
    const ends = Date.now() + 1_000;
    const draws = movers.map((mover, i) => {
      if (i === 0) return () => pipelined(mover.withTypeMapping(AS_STRINGS), 100);
      return i === 1 ? () => transaction(mover) : () => mover.withTypeMapping(AS_STRINGS).incr("orders");
    });
    return (await Promise.all(draws.map((draw) => repeat(draw, ends)))).flat();
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
  async close() {
    await Promise.all([client, ...(movers ?? [])].map((each) => each.close()));
    movers = undefined;
  },
});
