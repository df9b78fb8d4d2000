import { assert } from "@std/assert";
import { nextTask, turned } from "./next_task.ts";

function work(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

Deno.test({
  name: "a signal is noticed within some steps, not only in every 61st turn of the event loop",
  ignore: Deno.build.os === "windows",
  async fn() {
    let noticed = false;
    const listener = () => noticed = true;
    Deno.addSignalListener("SIGUSR2", listener);
    try {
      await nextTask();
      Deno.kill(Deno.pid, "SIGUSR2");
      let steps = 0;
      for (; !noticed && steps < 100; steps++) {
        work(20);
        await nextTask();
      }
      assert(noticed && steps < 30, `noticed after ${steps} steps of 20 ms`);
    } finally {
      Deno.removeSignalListener("SIGUSR2", listener);
    }
  },
});

Deno.test("timers run between steps", async () => {
  let fired = false;
  const timer = setTimeout(() => fired = true, 1);
  for (let step = 0; step < 20 && !fired; step++) {
    work(10);
    await nextTask();
  }
  clearTimeout(timer);
  assert(fired);
});

Deno.test("after a turn that was had elsewhere there is no pause", async () => {
  let fired = false;
  const timer = setTimeout(() => fired = true, 0);
  work(10);
  turned();
  await nextTask();
  assert(!fired);
  work(10);
  await nextTask();
  clearTimeout(timer);
  assert(fired);
});

Deno.test("steps that follow each other quickly are not held up", async () => {
  const started = performance.now();
  for (let step = 0; step < 10_000; step++) await nextTask();
  assert(performance.now() - started < 2000);
});

Deno.test("turns of the event loop leave nothing behind", async () => {
  // In a process of its own: what other tests have left to the collector is not counted. The heap reaches its size within 25,000 turns.
  const program = `
    import { nextTurn } from "${new URL("next_task.ts", import.meta.url)}";
    const turns = async (count) => {
      for (let turn = 0; turn < count; turn++) await nextTurn();
      return Deno.memoryUsage().rss;
    };
    const before = await turns(25_000);
    console.log(await turns(20_000) - before);
    Deno.exit();`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-config", program] });
  const { success, stdout, stderr } = await child.output();
  assert(success, new TextDecoder().decode(stderr));
  const growth = Number(new TextDecoder().decode(stdout)) / 2 ** 20;
  assert(growth < 40, `memory grew by ${growth.toFixed(0)} MiB in 20,000 turns`);
});
