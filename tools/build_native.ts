/**
 * Builds the native library over `core/` with the stable toolchain, and says where it is.
 *
 *     deno run -A tools/build_native.ts
 *
 * @module
 */

const root = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");
const target = `${root}/target`;

const { success } = await new Deno.Command("cargo", {
  args: ["+stable", "build", "--release", "--locked", "--package", "llmforge-native"],
  cwd: root,
  env: { CARGO_TARGET_DIR: target },
  stdout: "inherit",
  stderr: "inherit",
}).output();
if (!success) Deno.exit(1);
const names: Partial<Record<typeof Deno.build.os, string>> = {
  darwin: "libllmforge_native.dylib",
  windows: "llmforge_native.dll",
};
console.log(`native: ${target}/release/${names[Deno.build.os] ?? "libllmforge_native.so"}`);
