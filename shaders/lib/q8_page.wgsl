// One KV head's part of a page of a Q8 cache, as words: the quants of its tokens, [PAGE_SIZE, blocks, 8], four to a
// word, then the F16 scales, [PAGE_SIZE, blocks], two to a word. A block is 32 channels of a token. A line is
// (page·kvHeads + head)·PAGE_SIZE + token. PAGE_SIZE·blocks is even, so that a part has whole words.

override PAGE_SIZE: u32 = 1u;

const BLOCK: u32 = 32u;

fn blocksOf(width: u32) -> u32 {
  return (width + BLOCK - 1u) / BLOCK;
}

fn partWords(blocks: u32) -> u32 {
  return PAGE_SIZE * blocks * 17u / 2u;
}

// Word of the first four quants of a block.
fn quantsAt(line: u32, block: u32, blocks: u32) -> u32 {
  return line / PAGE_SIZE * partWords(blocks) + (line % PAGE_SIZE * blocks + block) * 8u;
}

// Place of a block's scale, in halves of words.
fn scaleAt(line: u32, block: u32, blocks: u32) -> u32 {
  let scales = line / PAGE_SIZE * partWords(blocks) + PAGE_SIZE * blocks * 8u;
  return 2u * scales + line % PAGE_SIZE * blocks + block;
}

// The quant of a channel in the word that holds it.
fn quantOf(word: u32, channel: u32) -> f32 {
  return f32(bitcast<i32>(word << (24u - 8u * (channel & 3u))) >> 24u);
}
