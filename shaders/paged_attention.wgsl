// pagedAttention: causal attention of each row over the pages of its sequence. Caches are
// [pages, kvHeads, pageSize, headDim]; those in Q8 are as lib/q8_page.wgsl says.
//! include lib/grid.wgsl
//! include lib/numbers.wgsl
//! include lib/fold.wgsl
//! include lib/attend.wgsl

override MAX_PAGES: u32 = 1u;
// Keys that a row sees at most; 0 for all.
override WINDOW: u32 = 0u;

@group(0) @binding(6) var<storage, read> lengths: array<i32>;
@group(0) @binding(7) var<storage, read> sequences: array<i32>;
@group(0) @binding(8) var<storage, read> pageTable: array<i32>;

// First entry of the page table for this workgroup's row.
var<private> pages: u32;

fn rowOf(key: u32, kvHead: u32) -> u32 {
  let page = u32(pageTable[pages + key / PAGE_SIZE]);
  return (page * KV_HEADS + kvHead) * PAGE_SIZE + key % PAGE_SIZE;
}

fn isVisible(key: u32) -> bool {
  return true;
}

@compute @workgroup_size(64)
fn pagedAttention(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
) {
  let index = workgroupIndex(workgroup, workgroups);
  if (index >= count.x * HEADS) {
    return;
  }
  let row = index / HEADS;
  let length = u32(lengths[row]);
  let first = select(0u, length - min(length, WINDOW), WINDOW > 0u);
  pages = u32(sequences[row]) * MAX_PAGES;
  attend(lane, index % HEADS, index * HEAD_DIM, index * VALUE_DIM, first, length, length - 1u);
}
