// What the programs share: all connections of a pool draw at the same moments.

const POOLS = Number(process.env.POOLS);
const PERIOD_MS = Number(process.env.PERIOD_MS);

let isStopping = false;

async function drawAgainAndAgain(draw, offset) {
  while (true) {
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS - ((Date.now() - offset) % PERIOD_MS)));
    if (isStopping) return;
    try {
      console.log(await draw());
    } catch (error) {
      console.log(`error ${error.constructor.name}: ${error.message}`.replaceAll("\n", " "));
    }
  }
}

// `open` returns a function for each connection of a pool, which draws an ID.
export async function run(open) {
  const drawing = [];
  for (let number = 0; number < POOLS; number++) {
    const offset = (number / POOLS) * PERIOD_MS;
    drawing.push(...(await open()).map((draw) => drawAgainAndAgain(draw, offset)));
  }
  process.stdin.on("end", () => (isStopping = true)).resume();
  await Promise.all(drawing);
  process.exit();
}
