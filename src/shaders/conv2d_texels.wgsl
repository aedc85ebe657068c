// y[b, co, oh, ow] = act(sum x[b, ci, oh STRIDE + kh, ow STRIDE + kw] w[ci, kh, kw, co] + bias[co]
// + residual[b, co, oh, ow])
// B images, CI CO channels, OH OW pixels out, KH KW kernel. x and w are read from textures, row by row of 1024
// texels: x has four channels of a pixel in each and its padding in it, w four output channels.
// A thread makes ROWS rows of PIXELS pixels in GROUPS groups of 4 channels: accumulator a_r_p_g. With POOL 2 it keeps
// the maxima of 2 x 2 windows only, and from y[HALF] on where they were.
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // if HAS_BIAS
@group(0) @binding(3) var<storage, read> residual: array<vec4f>; // if HAS_RESIDUAL
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

override B: u32;
override CI: u32;
override CO: u32;
override KH: u32;
override KW: u32;
override OH: u32;
override OW: u32;
override STRIDE: u32 = 1u;
override GROUPS: u32 = 2u;
override PIXELS: u32 = 8u;
override ROWS: u32 = 1u;
override SPAN: u32 = 10u; // pixels of a row that a strip sees: (PIXELS - 1) STRIDE + KW
override CHANNELS: u32 = 4u; // of a texel of x that are in use: fewer than 4 where CI is less
override TOGETHER: u32 = 1u; // 4 where rows are stored by four pixels: OW and PIXELS are multiples of 4
override POOL: u32 = 1u;
override HALF: u32 = 0u;
override HAS_BIAS: u32 = 0u;
override HAS_RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
const ACTIVATION_relu6 = 2u;

fn texel(i: u32) -> vec2u {
  return vec2u(i % 1024u, i / 1024u);
}

fn seen(i: u32) -> vec4f {
  return textureLoad(x, texel(i));
}

fn filters(i: u32) -> vec4f {
  return textureLoad(w, texel(i));
}

fn offsets(co: u32) -> vec4f {
  if (HAS_BIAS == 0u) {
    return vec4f(0.0);
  }
  let last = CO - 1u;
  return vec4f(bias[min(co, last)], bias[min(co + 1u, last)], bias[min(co + 2u, last)], bias[min(co + 3u, last)]);
}

// One result.
fn put(i: u32, value: f32) {
  y[i / 4u][i % 4u] = value;
}

// What is done with sums before they are stored.
fn finish(sum: vec4f, more: vec4f) -> vec4f {
  var v = sum;
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

// An element of the residual; past the last one it is not stored.
fn added(i: u32) -> f32 {
  let j = min(i, B * CO * OH * OW - 1u);
  return residual[j / 4u][j % 4u];
}

// Four channels, the first of which is co, of the pixel at oh, ow.
fn store(n: u32, co: u32, oh: u32, ow: u32, sum: vec4f) {
  if ((oh >= OH) | (ow >= OW)) {
    return;
  }
  let i = ((n * CO + co) * OH + oh) * OW + ow;
  let step = OH * OW;
  var more = vec4f(0.0);
  if (HAS_RESIDUAL == 1u) {
    more = vec4f(added(i), added(i + step), added(i + 2u * step), added(i + 3u * step));
  }
  let v = finish(sum, more);
  let all = CO % (4u * GROUPS) == 0u;
  if (all | (co < CO)) { put(i, v.x); }
  if (all | (co + 1u < CO)) { put(i + step, v.y); }
  if (all | (co + 2u < CO)) { put(i + 2u * step, v.z); }
  if (all | (co + 3u < CO)) { put(i + 3u * step, v.w); }
}

// Four pixels of a channel.
fn store_row(i: u32, sum: vec4f) {
  var more = vec4f(0.0);
  if (HAS_RESIDUAL == 1u) {
    more = residual[i];
  }
  y[i] = finish(sum, more);
}

// Four channels, the first of which is co, of four pixels from oh, ow on.
fn store_rows(n: u32, co: u32, oh: u32, ow: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  if ((oh >= OH) | (ow >= OW)) {
    return;
  }
  let i = (((n * CO + co) * OH + oh) * OW + ow) / 4u;
  let step = OH * OW / 4u;
  let all = CO % (4u * GROUPS) == 0u;
  if (all | (co < CO)) { store_row(i, vec4f(a.x, b.x, c.x, d.x)); }
  if (all | (co + 1u < CO)) { store_row(i + step, vec4f(a.y, b.y, c.y, d.y)); }
  if (all | (co + 2u < CO)) { store_row(i + 2u * step, vec4f(a.z, b.z, c.z, d.z)); }
  if (all | (co + 3u < CO)) { store_row(i + 3u * step, vec4f(a.w, b.w, c.w, d.w)); }
}

// The largest of four pixels of four channels, and where it was.
struct Largest {
  value: vec4f,
  place: vec4f,
}

// As pool2d_max: the first on ties, the last NaN.
fn larger(best: Largest, value: vec4f, place: u32) -> Largest {
  let wins = value > best.value | (bitcast<vec4u>(value) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return Largest(select(best.value, value, wins), select(best.place, vec4f(f32(place)), wins));
}

// Four channels, the first of which is co, of the window whose corner is at oh, ow.
fn store_largest(n: u32, co: u32, oh: u32, ow: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  if ((oh >= OH) | (ow >= OW)) {
    return;
  }
  let corner = oh * OW + ow;
  let top = larger(Largest(a, vec4f(f32(corner))), b, corner + 1u);
  let found = larger(larger(top, c, corner + OW), d, corner + OW + 1u);
  let step = OH * OW / 4u;
  let i = (n * CO + co) * step + oh / 2u * (OW / 2u) + ow / 2u;
  let all = CO % (4u * GROUPS) == 0u;
  if (all | (co < CO)) { put(i, found.value.x); put(HALF + i, found.place.x); }
  if (all | (co + 1u < CO)) { put(i + step, found.value.y); put(HALF + i + step, found.place.y); }
  if (all | (co + 2u < CO)) { put(i + 2u * step, found.value.z); put(HALF + i + 2u * step, found.place.z); }
  if (all | (co + 3u < CO)) { put(i + 3u * step, found.value.w); put(HALF + i + 3u * step, found.place.w); }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let strips = (OW + PIXELS - 1u) / PIXELS;
  let bands = (OH + ROWS - 1u) / ROWS;
  let quads = (CO + 3u) / 4u;
  let deep = (CI + 3u) / 4u;
  let wide = (OW - 1u) * STRIDE + KW;
  let tall = (OH - 1u) * STRIDE + KH;
  // A workgroup shares its filters: channels and columns are its own, images and bands of rows its threads'.
  let rounds = (B * bands + 31u) / 32u;
  let g = group_id.x + group_id.y * groups.x;
  let t = g % rounds * 32u + local;
  let ow = g / rounds % strips * PIXELS;
  let quad = g / (rounds * strips) * GROUPS;
  if (t >= B * bands || quad >= quads) {
    return;
  }
  let n = t % B;
  let oh = t / B * ROWS;
  let b{g} = offsets(4u * quad + {4 * g}u); // each g < GROUPS
  var a{r}_{p}_{g} = b{g}; // each r < ROWS, p < PIXELS, g < GROUPS
  for (var c = 0u; c < deep; c++) {
    // Channels past the last are 0 in x, whatever filters they meet.
    let k{j} = min(4u * c + {j}u, CI - 1u) * KH * KW * quads + quad; // each j < 4
    var at = ((n * deep + c) * tall + oh * STRIDE) * wide + ow * STRIDE;
    for (var kh = 0u; kh < KH; kh++) {
      let x{r}_{i} = seen(at + {r * STRIDE}u * wide + {i}u); // each r < ROWS, i < SPAN
      let w{j}_{k}_{g} = filters(k{j} + (kh * KW + {k}u) * quads + {g}u); // each j < CHANNELS, k < KW, g < GROUPS
      a{r}_{p}_{g} += x{r}_{p * STRIDE + k}.x * w0_{k}_{g} + x{r}_{p * STRIDE + k}.y * w1_{k}_{g} + x{r}_{p * STRIDE + k}.z * w2_{k}_{g} + x{r}_{p * STRIDE + k}.w * w3_{k}_{g}; // each four < CHANNELS / 4, r < ROWS, p < PIXELS, g < GROUPS, k < KW
      a{r}_{p}_{g} += x{r}_{p * STRIDE + k}[{j}] * w{j}_{k}_{g}; // each few < 6 - CHANNELS / 3, r < ROWS, p < PIXELS, g < GROUPS, k < KW, j < CHANNELS
      at += wide;
    }
  }
  store(n, 4u * quad + {4 * g}u, oh + {r}u, ow + {p}u, a{r}_{p}_{g}); // each plain < 2 - POOL, single < 5 - TOGETHER / 4, r < ROWS, p < PIXELS, g < GROUPS
  store_rows(n, 4u * quad + {4 * g}u, oh + {r}u, ow + {4 * p}u, a{r}_{4 * p}_{g}, a{r}_{4 * p + 1}_{g}, a{r}_{4 * p + 2}_{g}, a{r}_{4 * p + 3}_{g}); // each plain < 2 - POOL, four < TOGETHER / 4, r < ROWS, p < PIXELS / 4, g < GROUPS
  store_largest(n, 4u * quad + {4 * g}u, oh + {2 * r}u, ow + {2 * p}u, a{2 * r}_{2 * p}_{g}, a{2 * r}_{2 * p + 1}_{g}, a{2 * r + 1}_{2 * p}_{g}, a{2 * r + 1}_{2 * p + 1}_{g}); // each pool < POOL - 1, r < ROWS / 2, p < PIXELS / 2, g < GROUPS
}
