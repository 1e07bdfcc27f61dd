// What the programs share: where to connect to, and the loop over the steps of README.md.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_CA_FILE, REDIS_PROTOCOL } = process.env;

export const host = REDIS_HOST;
export const port = Number(REDIS_PORT);
export const tls = REDIS_CA_FILE && { ca: readFileSync(REDIS_CA_FILE) };
export const protocol = REDIS_PROTOCOL && Number(REDIS_PROTOCOL);
export const credentials = {
  ...(REDIS_USERNAME && { username: REDIS_USERNAME }),
  ...(REDIS_PASSWORD && { password: REDIS_PASSWORD }),
};

export const patience = 60_000; // the timeout of all drivers, in milliseconds; README.md has the reason

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Ten at the same time, each a hundred times in turn.
export async function drawTenfold(draw) {
  const drawHundred = async (_, i) => {
    const ids = [];
    for (let n = 0; n < 100; n++) ids.push(await draw(i));
    return ids;
  };
  return (await Promise.all(Array.from({ length: 10 }, drawHundred))).flat();
}

// Draws until the time has come, with pauses.
export async function repeat(draw, ends) {
  const ids = [];
  while (Date.now() < ends) {
    ids.push(await draw());
    await sleep(10);
  }
  return ids.flat();
}

export async function run(steps) {
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const [step, count] = line.split(" ");
      const values = await steps[step](count && Number(count));
      console.log(["ok", ...[values ?? []].flat()].join(" "));
    } catch (error) {
      console.log(`error ${error}`.replaceAll("\n", " "));
    }
  }
  process.exit(); // a client that was closed while it moved would keep the process alive
}
