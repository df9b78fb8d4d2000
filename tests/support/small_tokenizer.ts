/**
 * A byte-level tokenizer for models that have none: the 256 bytes in GPT-2's alphabet, then fillers.
 *
 * @module
 */

/** A `tokenizer.json` of `size` tokens; the last one ends a text. */
export function smallTokenizer(size: number): Record<string, unknown> {
  const letters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    letters.push(String.fromCharCode(printable ? byte : next++));
  }
  const tokens = Array.from({ length: size - 1 }, (_, id) => letters[id] ?? `filler${id}`);
  const end = { id: size - 1, content: "<|endoftext|>" };
  return {
    version: "1.0",
    added_tokens: [{
      ...end,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    }],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      vocab: Object.fromEntries([...tokens.map((token, id) => [token, id]), [end.content, end.id]]),
      merges: [],
    },
  };
}
