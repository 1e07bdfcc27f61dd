// Draws from pools of node-redis, as ../load.py describes. The argument is the type of endpoint to ask for, if any.

import { createClientPool, RESP_TYPES } from "redis-6";
import { run } from "./periods.mjs";

const [, , maintEndpointType] = process.argv;
const { REDIS_HOST: host, REDIS_PORT, CONNECTIONS } = process.env;
const options = { socket: { host, port: Number(REDIS_PORT) }, ...(maintEndpointType && { maintEndpointType }) };

await run(async () => {
  const size = Number(CONNECTIONS);
  const pool = createClientPool(options, { minimum: size, maximum: size });
  pool.on("error", () => {}); // without a listener the process ends when a connection does
  await pool.connect();
  const ids = pool.withTypeMapping({ [RESP_TYPES.NUMBER]: String });
  return Array(size).fill(() => ids.incr("orders"));
});
