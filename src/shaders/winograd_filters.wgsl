// u[r, c, q / LANES, ci, q % LANES] = (G g G^T)[r, c] of the filters g[kh, kw] of input channel ci in output channels
// 4 q to 4 q + 3, which lie in w from START on, STEP_CO, STEP_CI, STEP_KH and STEP_KW apart
// CI CO channels, filled up by zeros to a multiple of 4 and of 4 LANES
// (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, for 3 x 3 filters)
@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> u: array<vec4f>;

override CI: u32;
override CO: u32;
override START: u32 = 0u;
override TO_CO: i32;
override TO_CI: i32;
override TO_KH: i32;
override TO_KW: i32;
override LANES: u32;
override SIZE: u32;
override SIDE: u32; // points on a side of a tile: SIZE + 2

// A tap in four output channels, the first of which is co; 0 beyond the channels.
fn taps(ci: u32, co: u32, kh: i32, kw: i32) -> vec4f {
  let i = i32(START) + i32(ci) * TO_CI + i32(co) * TO_CO + kh * TO_KH + kw * TO_KW;
  let v = vec4f(w[u32(i)], w[u32(i + TO_CO)], w[u32(i + 2 * TO_CO)], w[u32(i + 3 * TO_CO)]);
  let all = vec4u(co) + vec4u(0u, 1u, 2u, 3u) < vec4u(CO);
  return select(vec4f(0.0), v, all & vec4<bool>(ci < CI));
}

// A row of a filter, or a column, at the points of the algorithm.
fn along(g0: vec4f, g1: vec4f, g2: vec4f) -> array<vec4f, 6> {
  if (SIZE == 2u) {
    let even = 0.5 * (g0 + g2);
    return array<vec4f, 6>(g0, even + 0.5 * g1, even - 0.5 * g1, g2, vec4f(0.0), vec4f(0.0));
  }
  let even = (g0 + g2) * (-1.0 / 6.0);
  let odd = g1 * (-1.0 / 6.0);
  let even2 = g0 / 24.0 + g2 / 6.0;
  let odd2 = g1 / 12.0;
  return array<vec4f, 6>(0.25 * g0, even + odd, even - odd, even2 + odd2, even2 - odd2, g2);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let i = (group_id.x + group_id.y * groups.x) * 32u + local;
  let blocks = (CO + 4u * LANES - 1u) / (4u * LANES);
  // Neighbouring threads make what lies side by side: a block of output channels, of four input channels.
  let lane = i % (4u * LANES);
  let block = i / (4u * LANES);
  let q = block % blocks * LANES + lane % LANES;
  let ci = block / blocks * 4u + lane / LANES;
  if (ci >= (CI + 3u) / 4u * 4u) {
    return;
  }
  let deep = (CI + 3u) / 4u;
  let to = (block % blocks * deep + block / blocks) * 4u * LANES + lane;
  let r{r} = along(taps(ci, 4u * q, {r}, 0), taps(ci, 4u * q, {r}, 1), taps(ci, 4u * q, {r}, 2)); // each r < 3
  let c{c} = along(r0[{c}], r1[{c}], r2[{c}]); // each c < 6
  u[to + {r * SIDE + c}u * blocks * deep * 4u * LANES] = c{c}[{r}]; // each r < SIDE, c < SIDE
}
