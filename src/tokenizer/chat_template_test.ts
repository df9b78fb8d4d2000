import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TokenizerError } from "../errors.ts";
import { ChatTemplate, selectChatTemplate } from "./chat_template.ts";
import { strftime } from "./strftime.ts";

const messages = [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }];

Deno.test("a template sees messages, tokens and whether the model's turn is to be opened", async () => {
  const template = new ChatTemplate(
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] }}{{ eos_token }}\n{% endfor %}" +
      "{% if add_generation_prompt %}[assistant]{% endif %}",
  );
  const variables = { bos_token: "<s>", eos_token: "</s>" };
  const turns = "<s>[user] Hi</s>\n[assistant] Hello</s>\n";
  assertEquals(await template.render(messages, variables), `${turns}[assistant]`);
  assertEquals(await template.render(messages, variables, { addGenerationPrompt: false }), turns);
});

Deno.test("the globals that templates count on", async () => {
  const render = (source: string) => new ChatTemplate(source).render([]);
  assertEquals(await render("{{ range(3) | join(',') }} {{ range(5, 1, -2) | join(',') }}"), "0,1,2 5,3");
  assertEquals(await render("{{ true and not False and none is none }}"), "true");
  assertEquals(
    await render("{% if tools is defined %}x{% endif %}{{ strftime_now('%Y') }}"),
    strftime(new Date(), "%Y"),
  );
});

Deno.test("what a template says against the messages is an error of that text", async () => {
  const template = new ChatTemplate("{{ raise_exception('roles must alternate') }}");
  await assertRejects(() => template.render(messages), TokenizerError, "roles must alternate");
});

Deno.test("a template that cannot be read is an error, at every rendering", async () => {
  const template = new ChatTemplate("{% for %}");
  await assertRejects(() => template.render(messages), TokenizerError, "cannot be rendered");
  await assertRejects(() => template.render(messages), TokenizerError, "cannot be rendered");
});

Deno.test("the template of a tokenizer_config.json: a string, or a list with names", () => {
  const list = [{ name: "tool_use", template: "a" }, { name: "default", template: "b" }];
  assertEquals(selectChatTemplate(undefined), undefined);
  assertEquals(selectChatTemplate("x"), "x");
  assertEquals(selectChatTemplate(list), "b");
  assertEquals(selectChatTemplate(list.slice(0, 1)), "a");
  assertThrows(() => selectChatTemplate([{ name: "default" }]), TokenizerError, "chat_template");
});

Deno.test("dates are in English, whatever the machine speaks", () => {
  const date = new Date(2024, 6, 4, 15, 5, 9);
  assertEquals(strftime(date, "%d %b %Y, %A %B %-d"), "04 Jul 2024, Thursday July 4");
  assertEquals(strftime(date, "%H:%M:%S %I %p %y%% %Q"), "15:05:09 03 PM 24% %Q");
});
