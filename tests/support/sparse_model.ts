/**
 * Model files of real sizes that take no room: the header is written, the tensors are a hole that reads as zeros.
 *
 * @module
 */
import { DTYPES } from "../../src/tensor/dtype.ts";

/** A tensor: its name, and its shape, outermost first. */
export type NamedShape = readonly [name: string, shape: readonly number[]];

/** Writes a safetensors file of zeros. */
export async function writeSparse(
  path: string,
  dtype: "f32" | "f16",
  tensors: readonly NamedShape[],
): Promise<void> {
  let end = 0;
  const entries = tensors.map(([name, shape]) => {
    const start = end;
    end += shape.reduce((a, b) => a * b, 1) * DTYPES[dtype].blockBytes;
    return [name, { dtype: dtype.toUpperCase(), shape, data_offsets: [start, end] }];
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(header.length), true);
  await file.write(new Uint8Array(length.buffer));
  await file.write(header);
  await file.truncate(8 + header.length + end);
}

/** Tensors of meta-llama/Llama-2-7b-hf, or of its first layers. */
export function llama2Tensors(layers = 32): NamedShape[] {
  const [hidden, inner, vocabulary] = [4096, 11008, 32000];
  return [
    ["model.embed_tokens.weight", [vocabulary, hidden]],
    ...Array.from({ length: layers }, (_, layer): NamedShape[] => {
      const at = `model.layers.${layer}`;
      return [
        ...["q", "k", "v", "o"].map((
          name,
        ): NamedShape => [`${at}.self_attn.${name}_proj.weight`, [hidden, hidden]]),
        [`${at}.mlp.gate_proj.weight`, [inner, hidden]],
        [`${at}.mlp.up_proj.weight`, [inner, hidden]],
        [`${at}.mlp.down_proj.weight`, [hidden, inner]],
        [`${at}.input_layernorm.weight`, [hidden]],
        [`${at}.post_attention_layernorm.weight`, [hidden]],
        [`${at}.self_attn.rotary_emb.inv_freq`, [64]],
      ];
    }).flat(),
    ["model.norm.weight", [hidden]],
    ["lm_head.weight", [vocabulary, hidden]],
  ];
}

/** The `config.json` of meta-llama/Llama-2-7b-hf. */
export const LLAMA2_CONFIG = {
  _name_or_path: "meta-llama/Llama-2-7b-hf",
  architectures: ["LlamaForCausalLM"],
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  hidden_size: 4096,
  initializer_range: 0.02,
  intermediate_size: 11008,
  max_position_embeddings: 4096,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 32,
  pretraining_tp: 1,
  rms_norm_eps: 1e-05,
  rope_scaling: null,
  tie_word_embeddings: false,
  torch_dtype: "float16",
  transformers_version: "4.31.0.dev0",
  use_cache: true,
  vocab_size: 32000,
};

/** Tensors of openai-community/gpt2: a base model's names, and masks that no model reads. */
export function gpt2Tensors(): NamedShape[] {
  const width = 768;
  const normed = (name: string): NamedShape[] => [[`${name}.weight`, [width]], [`${name}.bias`, [width]]];
  const linear = (name: string, from: number, to: number): NamedShape[] => [
    [`${name}.weight`, [from, to]],
    [`${name}.bias`, [to]],
  ];
  return [
    ["wte.weight", [50257, width]],
    ["wpe.weight", [1024, width]],
    ...Array.from({ length: 12 }, (_, layer): NamedShape[] => [
      ...normed(`h.${layer}.ln_1`),
      [`h.${layer}.attn.bias`, [1, 1, 1024, 1024]],
      ...linear(`h.${layer}.attn.c_attn`, width, 3 * width),
      ...linear(`h.${layer}.attn.c_proj`, width, width),
      ...normed(`h.${layer}.ln_2`),
      ...linear(`h.${layer}.mlp.c_fc`, width, 4 * width),
      ...linear(`h.${layer}.mlp.c_proj`, 4 * width, width),
    ]).flat(),
    ...normed("ln_f"),
  ];
}

/** The `config.json` of openai-community/gpt2. */
export const GPT2_CONFIG = {
  activation_function: "gelu_new",
  architectures: ["GPT2LMHeadModel"],
  attn_pdrop: 0.1,
  bos_token_id: 50256,
  embd_pdrop: 0.1,
  eos_token_id: 50256,
  initializer_range: 0.02,
  layer_norm_epsilon: 1e-05,
  model_type: "gpt2",
  n_ctx: 1024,
  n_embd: 768,
  n_head: 12,
  n_layer: 12,
  n_positions: 1024,
  resid_pdrop: 0.1,
  summary_activation: null,
  summary_first_dropout: 0.1,
  summary_proj_to_labels: true,
  summary_type: "cls_index",
  summary_use_proj: true,
  task_specific_params: { "text-generation": { do_sample: true, max_length: 50 } },
  vocab_size: 50257,
};
