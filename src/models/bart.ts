/**
 * BART: an encoder–decoder with learned positions and a norm after each sum.
 *
 * @module
 */
import { encoderDecoderArchitecture } from "./encoder_decoder.ts";
import type { DecoderNames } from "./names.ts";

/** Names of what both stacks have; llama.cpp has no such architecture, so there are none for GGUF. */
const layer: DecoderNames["layer"] = {
  query: [[], "self_attn.q_proj"],
  key: [[], "self_attn.k_proj"],
  value: [[], "self_attn.v_proj"],
  output: [[], "self_attn.out_proj"],
  attentionSumNorm: [[], "self_attn_layer_norm"],
  up: [[], "fc1"],
  down: [[], "fc2"],
  feedForwardSumNorm: [[], "final_layer_norm"],
};
const prefixes = ["model.", ""];

/** BART and kin with norms after the sums. */
export const bart = encoderDecoderArchitecture({
  ids: ["bart", "BartForConditionalGeneration"],
  gguf: null,
  norm: "layer",
  names: {
    prefixes,
    layers: "decoder.layers",
    model: {
      embedding: [[], ["shared", "decoder.embed_tokens"]],
      positions: [[], "decoder.embed_positions"],
      embeddingNorm: [[], "decoder.layernorm_embedding"],
      head: [[], "lm_head"],
    },
    layer: {
      ...layer,
      crossQuery: [[], "encoder_attn.q_proj"],
      crossKey: [[], "encoder_attn.k_proj"],
      crossValue: [[], "encoder_attn.v_proj"],
      crossOutput: [[], "encoder_attn.out_proj"],
      crossSumNorm: [[], "encoder_attn_layer_norm"],
    },
  },
  encoderNames: {
    prefixes,
    layers: "encoder.layers",
    model: {
      positions: [[], "encoder.embed_positions"],
      embeddingNorm: [[], "encoder.layernorm_embedding"],
    },
    layer,
  },
  extraWeights: ({ vocabSize }) => [{
    name: "head.bias",
    shape: [vocabSize],
    places: [{ tensors: ["final_logits_bias"], shape: [1, vocabSize] }],
    optional: true,
  }],
  fields: {
    hidden_size: ["d_model"],
    num_hidden_layers: ["decoder_layers"],
    num_attention_heads: ["decoder_attention_heads"],
    intermediate_size: ["decoder_ffn_dim"],
    hidden_act: ["activation_function"],
  },
  defaults: () => ({
    hidden_act: "gelu",
    max_position_embeddings: 1024,
    tie_word_embeddings: true,
    decoder_start_token_id: 2,
  }),
  config(common, read) {
    const { rope: _, ...rest } = common;
    const { heads, layers, intermediateSize, hiddenSize } = common;
    const encoder = {
      layers: read.int("encoder_layers", layers),
      heads: read.int("encoder_attention_heads", heads),
      intermediateSize: read.int("encoder_ffn_dim", intermediateSize),
    };
    read.refuse(
      "encoder_attention_heads",
      encoder.heads !== heads,
      "must be as many as those of the decoder",
    );
    for (const field of ["normalize_before", "normalize_embedding"]) {
      const wanted = field === "normalize_embedding";
      read.refuse(field, read.bool(field, wanted) !== wanted, "is not supported");
    }
    return {
      ...rest,
      encoder,
      positionOffset: 2,
      embeddingScale: read.bool("scale_embedding", false) ? Math.sqrt(hiddenSize) : 1,
      decoderStartId: read.int("decoder_start_token_id", undefined, 0),
    };
  },
});
