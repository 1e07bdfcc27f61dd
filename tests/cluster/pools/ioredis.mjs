// Draws from clients of ioredis, which has no pool, as ../load.py describes.

import { Redis } from "ioredis-6";
import { run } from "./periods.mjs";

const { REDIS_HOST: host, REDIS_PORT, CONNECTIONS } = process.env;

await run(async () =>
  Array.from({ length: Number(CONNECTIONS) }, () => {
    const client = new Redis({ host, port: Number(REDIS_PORT), stringNumbers: true });
    client.on("error", () => {}); // without a listener it prints each failed attempt to connect
    return () => client.incr("orders");
  }),
);
