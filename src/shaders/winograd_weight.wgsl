// w[s, co, ci, kh, kw] = (G^T p G)[kh, kw] of the products p[s, ci / 4, co / 4, r, c, ci % 4]
// CI CO channels, SPLIT shares
// (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, for 3 x 3 filters)
@group(0) @binding(0) var<storage, read> p: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;

override CI: u32;
override CO: u32;
override SPLIT: u32 = 1u;
override SIZE: u32;
override SIDE: u32; // points on a side of a tile: SIZE + 2

// A point of the products that start at i.
fn point(e: u32, i: u32) -> vec4f {
  return p[e * 4u + i];
}

// A row of points, or a column, as taps.
fn along(p0: vec4f, p1: vec4f, p2: vec4f, p3: vec4f, p4: vec4f, p5: vec4f) -> array<vec4f, 3> {
  if (SIZE == 2u) {
    let even = 0.5 * (p1 + p2);
    return array<vec4f, 3>(p0 + even, 0.5 * (p1 - p2), even + p3);
  }
  let even = (p1 + p2) * (-1.0 / 6.0);
  let even2 = (p3 + p4) / 24.0;
  return array<vec4f, 3>(0.25 * p0 + even + even2, (p2 - p1) / 6.0 + (p3 - p4) / 12.0, even + 4.0 * even2 + p5);
}

fn store(share: u32, co: u32, ci: u32, tap: u32, value: vec4f) {
  let i = ((share * CO + co) * CI + ci) * 9u + tap;
  let all = CO % 4u == 0u;
  w[i] = value.x;
  if (all | (co + 1u < CO)) { w[i + CI * 9u] = value.y; }
  if (all | (co + 2u < CO)) { w[i + 2u * CI * 9u] = value.z; }
  if (all | (co + 3u < CO)) { w[i + 3u * CI * 9u] = value.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let i = (group_id.x + group_id.y * groups.x) * 32u + local;
  let quads = (CO + 3u) / 4u;
  let deep = (CI + 3u) / 4u;
  let q = i / 4u % quads;
  let k = i / (4u * quads) % deep;
  let share = i / (4u * quads * deep);
  let ci = 4u * k + i % 4u;
  if ((ci >= CI) | (share >= SPLIT)) {
    return;
  }
  let at = i / 4u * SIDE * SIDE * 4u + i % 4u;
  let r{r} = along(point({r * SIDE}u, at), point({r * SIDE + 1}u, at), point({r * SIDE + 2}u, at), point({r * SIDE + 3}u, at), point({r * SIDE + 4}u, at), point({r * SIDE + 5}u, at)); // each r < 6
  let c{c} = along(r0[{c}], r1[{c}], r2[{c}], r3[{c}], r4[{c}], r5[{c}]); // each c < 3
  store(share, 4u * q, ci, {3 * r + c}u, c{c}[{r}]); // each r < 3, c < 3
}
