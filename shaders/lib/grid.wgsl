// What every kernel starts with: the count of the step, and its place in a grid that may be split over y, because
// a dispatch dimension ends at 65,535 workgroups.

// x: rows of this step.
@group(0) @binding(0) var<uniform> count: vec4<u32>;

fn workgroupIndex(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
  return workgroup.y * workgroups.x + workgroup.x;
}
