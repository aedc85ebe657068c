// y[b, co, oh, ow] = act((A^T m A)[oh % SIZE, ow % SIZE] + bias[co] + residual[b, co, oh, ow]) of the points
// m[co / 4, t / BLOCK, r, c, t % BLOCK] of its tile t
// B images, CO channels, OH OW pixels, DOWN ACROSS tiles of an image, SIZE SIZE pixels of a tile
// (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, for 3 x 3 filters)
@group(0) @binding(0) var<storage, read> m: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<f32>; // if HAS_BIAS
@group(0) @binding(2) var<storage, read> residual: array<vec4f>; // if HAS_RESIDUAL
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

override B: u32;
override CO: u32;
override OH: u32;
override OW: u32;
override DOWN: u32;
override ACROSS: u32;
override BLOCK: u32;
override SIZE: u32;
override SIDE: u32; // points on a side of a tile: SIZE + 2
override TOGETHER: u32 = 1u; // 4 where rows are stored by four pixels: OW is a multiple of 4, and SIZE is 4
override HAS_BIAS: u32 = 0u;
override HAS_RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
const ACTIVATION_relu6 = 2u;

fn offsets(co: u32) -> vec4f {
  if (HAS_BIAS == 0u) {
    return vec4f(0.0);
  }
  let last = CO - 1u;
  return vec4f(bias[min(co, last)], bias[min(co + 1u, last)], bias[min(co + 2u, last)], bias[min(co + 3u, last)]);
}

// A point of the tile that starts at i.
fn point(e: u32, i: u32) -> vec4f {
  return m[e * BLOCK + i];
}

// A row of points, or a column, as pixels.
fn along(p0: vec4f, p1: vec4f, p2: vec4f, p3: vec4f, p4: vec4f, p5: vec4f) -> array<vec4f, 4> {
  if (SIZE == 2u) {
    return array<vec4f, 4>(p0 + p1 + p2, p1 - p2 - p3, vec4f(0.0), vec4f(0.0));
  }
  let even = p1 + p2;
  let odd = p1 - p2;
  let even2 = p3 + p4;
  let odd2 = p3 - p4;
  return array<vec4f, 4>(p0 + even + even2, odd + 2.0 * odd2, even + 4.0 * even2, odd + 8.0 * odd2 + p5);
}

// What is done with pixels before they are stored.
fn finish(value: vec4f, more: vec4f) -> vec4f {
  var v = value;
  if (HAS_RESIDUAL == 1u) {
    v += more;
  }
  if (ACTIVATION != ACTIVATION_none) {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  if (ACTIVATION == ACTIVATION_relu6) {
    v = select(v, vec4f(6.0), v >= vec4f(6.0));
  }
  return v;
}

// One result.
fn put(i: u32, value: f32) {
  y[i / 4u][i % 4u] = value;
}

// An element of the residual; past the last one it is not stored.
fn added(i: u32) -> f32 {
  let j = min(i, B * CO * OH * OW - 1u);
  return residual[j / 4u][j % 4u];
}

// Four channels, the first of which is co, of the pixel at oh, ow.
fn store(n: u32, co: u32, oh: u32, ow: u32, value: vec4f) {
  if ((oh >= OH) | (ow >= OW)) {
    return;
  }
  let i = ((n * CO + co) * OH + oh) * OW + ow;
  let step = OH * OW;
  var more = vec4f(0.0);
  if (HAS_RESIDUAL == 1u) {
    more = vec4f(added(i), added(i + step), added(i + 2u * step), added(i + 3u * step));
  }
  let v = finish(value, more);
  let all = CO % 4u == 0u;
  put(i, v.x);
  if (all | (co + 1u < CO)) { put(i + step, v.y); }
  if (all | (co + 2u < CO)) { put(i + 2u * step, v.z); }
  if (all | (co + 3u < CO)) { put(i + 3u * step, v.w); }
}

// Four pixels of a channel.
fn store_row(i: u32, value: vec4f) {
  var more = vec4f(0.0);
  if (HAS_RESIDUAL == 1u) {
    more = residual[i];
  }
  y[i] = finish(value, more);
}

// Four channels, the first of which is co, of four pixels from oh, ow on.
fn store_rows(n: u32, co: u32, oh: u32, ow: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  if (oh >= OH) {
    return;
  }
  let i = (((n * CO + co) * OH + oh) * OW + ow) / 4u;
  let step = OH * OW / 4u;
  let all = CO % 4u == 0u;
  store_row(i, vec4f(a.x, b.x, c.x, d.x));
  if (all | (co + 1u < CO)) { store_row(i + step, vec4f(a.y, b.y, c.y, d.y)); }
  if (all | (co + 2u < CO)) { store_row(i + 2u * step, vec4f(a.z, b.z, c.z, d.z)); }
  if (all | (co + 3u < CO)) { store_row(i + 3u * step, vec4f(a.w, b.w, c.w, d.w)); }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let i = (group_id.x + group_id.y * groups.x) * 32u + local;
  let tiles = B * DOWN * ACROSS;
  let quads = (CO + 3u) / 4u;
  let t = i % tiles;
  let q = i / tiles;
  if (q >= quads) {
    return;
  }
  let ow = t % ACROSS * SIZE;
  let oh = t / ACROSS % DOWN * SIZE;
  let n = t / (ACROSS * DOWN);
  let b = offsets(4u * q);
  let at = (q * ((tiles + BLOCK - 1u) / BLOCK) + t / BLOCK) * SIDE * SIDE * BLOCK + t % BLOCK;
  let r{r} = along(point({r * SIDE}u, at), point({r * SIDE + 1}u, at), point({r * SIDE + 2}u, at), point({r * SIDE + 3}u, at), point({r * SIDE + 4}u, at), point({r * SIDE + 5}u, at)); // each r < 6
  let c{c} = along(r0[{c}], r1[{c}], r2[{c}], r3[{c}], r4[{c}], r5[{c}]); // each c < SIZE
  store(n, 4u * q, oh + {r}u, ow + {c}u, c{c}[{r}] + b); // each single < 5 - TOGETHER / 4, r < SIZE, c < SIZE
  store_rows(n, 4u * q, oh + {r}u, ow, c0[{r}] + b, c1[{r}] + b, c2[{r}] + b, c3[{r}] + b); // each four < TOGETHER / 4, r < SIZE
}
