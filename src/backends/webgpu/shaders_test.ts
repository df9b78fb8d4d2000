import { assertEquals } from "@std/assert";
import { expand, readShaders, shaderModule } from "../../../tools/build_shaders.ts";
import { SHADERS } from "./generated/shaders.gen.ts";

Deno.test("the generated module is what the shader files give", () => {
  assertEquals(SHADERS as Record<string, string>, Object.fromEntries(readShaders()));
});

Deno.test("a file is included once, and comments stay behind", () => {
  const files: Record<string, string> = {
    "main.wgsl": "// What it is.\n//! include a.wgsl\n//! include b.wgsl\n\nfn main() {}\n",
    "a.wgsl": "//! include b.wgsl\nconst a = 1;\n",
    "b.wgsl": "const b = 2;\n",
  };
  assertEquals(
    expand("main.wgsl", (path) => files[path]),
    "const b = 2;\nconst a = 1;\nfn main() {}\n",
  );
});

Deno.test("shader text survives the template literal", async () => {
  const module = shaderModule(new Map([["odd", "a `b` \\ ${c}\n"]]));
  const { SHADERS } = await import(`data:text/typescript,${encodeURIComponent(module)}`);
  assertEquals(SHADERS.odd.trim(), "a `b` \\ ${c}");
});
