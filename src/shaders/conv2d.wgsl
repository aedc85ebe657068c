// y[b, co, oh, ow] = act(sum x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] w[ci, kh, kw, co] + bias[co]
// + residual[b, co, oh, ow])
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; w has CO rounded up to a multiple of 4
// A thread makes PIXELS pixels of a row in GROUPS groups of 4 channels: accumulator a_m_p_g. With FOLD 4 and CO 1
// it makes PIXELS pixels of four rows: w[ci, kh, kw, r] is then the filter moved down by r rows.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> quads_of_x: array<vec4f>; // x once more, to be read by four
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>; // if HAS_BIAS
@group(0) @binding(4) var<storage, read> residual: array<f32>; // if HAS_RESIDUAL
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

override B: u32;
override CI: u32;
override H: u32;
override W: u32;
override CO: u32;
override KH: u32;
override KW: u32;
override OH: u32;
override OW: u32;
override STRIDE: u32 = 1u;
override PAD: u32 = 0u;
override GROUPS: u32 = 2u; // groups of 4 output channels a thread makes, 1 to 4
override PIXELS: u32 = 8u; // pixels of a row it makes, 1 to 32
override ROWS: u32 = 1u; // rows that the pixels are of, PIXELS / ROWS of each: of as many images, or POOL of one
override SLIDES: u32 = 0u; // pixels of a strip that the next ones become: all but the last with stride 1, else 0
override FOLD: u32 = 1u; // 4: the four columns of w are four rows of one output channel, KH + 3 tall
override POOL: u32 = 1u; // 2: y is the largest of each 2 x 2 pixels, the first on ties, and from HALF on where it was: h OW + w
override HALF: u32 = 0u;
override HAS_BIAS: u32 = 0u;
override HAS_RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
const ACTIVATION_relu6 = 2u;

// The pixel at column v of the row that starts at `row`, 0 in the padding.
fn pixel(row: u32, v: u32) -> f32 {
  if (PAD == 0u) {
    return x[row + min(v, W - 1u)];
  }
  return select(0.0, x[row + min(v - PAD, W - 1u)], (v >= PAD) & (v < W + PAD));
}

// What pixel p of the strip that starts at v sees under column c of the kernel. Where a strip is the whole
// row, padding costs no load.
fn under(row: u32, v: u32, p: u32, c: u32) -> f32 {
  if (STRIDE == 1u && OW <= PIXELS / ROWS) {
    let i = p + c;
    if ((i < PAD) | (i >= W + PAD)) {
      return 0.0;
    }
    return x[row + i - PAD];
  }
  return pixel(row, v + p * STRIDE + c);
}

// Whether the strips lie on vectors of four pixels.
fn by_fours() -> bool {
  return STRIDE == 1u && PAD < 4u && W % 4u == 0u && (PIXELS / ROWS) % 4u == 0u;
}

// The four pixels of a row, before padding, that pixels 4 i to 4 i + 3 of the strip have the columns of.
fn four(row: u32, v: u32, i: u32) -> vec4f {
  let column = v + 4u * i;
  if (OW > PIXELS / ROWS && column >= W) {
    return vec4f(0.0);
  }
  return quads_of_x[(row + column) / 4u];
}

// Pixel p at first, from the vectors of its own columns and of those before.
fn first(row: u32, v: u32, p: u32, own: vec4f, before: vec4f) -> f32 {
  let j = p % 4u;
  if (!by_fours() | (p < min(PAD, 4u))) {
    return under(row, v, p, 0u);
  }
  if (j < PAD) {
    return before[(4u + j - PAD) % 4u];
  }
  return own[(j - PAD) % 4u];
}

fn offsets(co: u32) -> vec4f {
  if (HAS_BIAS == 0u) {
    return vec4f(0.0);
  }
  let last = CO - 1u;
  return vec4f(bias[min(co, last)], bias[min(co + 1u, last)], bias[min(co + 2u, last)], bias[min(co + 3u, last)]);
}

// An element of the residual; past the last one it is not stored.
fn added(i: u32) -> f32 {
  return residual[min(i, B * CO * OH * OW - 1u)];
}

// Four channels of pixel p of a strip, the first of which belongs at i, or four rows of one channel. Where
// GROUPS hold all channels, or FOLD divides the rows, there is no question which there are.
fn store(i: u32, ow: u32, p: u32, co: u32, sum: vec4f) {
  if (OW % (PIXELS / ROWS) != 0u && ow + p >= OW) {
    return;
  }
  var v = sum;
  let rows = FOLD == 4u;
  let step = select(OH * OW, OW, rows);
  let count = select(CO - min(co, CO), OH - i / OW % OH, rows);
  let all = select(CO % 4u == 0u && (CO + 3u) / 4u % GROUPS == 0u, OH % 4u == 0u, rows);
  if (HAS_RESIDUAL == 1u) {
    v += vec4f(added(i), added(i + step), added(i + 2u * step), added(i + 3u * step));
  }
  if (ACTIVATION != ACTIVATION_none) {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  if (ACTIVATION == ACTIVATION_relu6) {
    v = select(v, vec4f(6.0), v >= vec4f(6.0));
  }
  if (all | (count > 0u)) { y[i] = v.x; }
  if (all | (count > 1u)) { y[i + step] = v.y; }
  if (all | (count > 2u)) { y[i + 2u * step] = v.z; }
  if (all | (count > 3u)) { y[i + 3u * step] = v.w; }
}

// Where a row of the image starts; with POOL one of the padding stands for one of its neighbours.
fn row_start(n: u32, m: u32, last: u32, ci: u32, h: u32) -> u32 {
  if (POOL == 1u) {
    return (((n + min(m, last)) * CI + ci) * H + h - PAD) * W;
  }
  return ((n * CI + ci) * H + clamp(h + m, PAD, H + PAD - 1u) - PAD) * W;
}

// A pixel of that row, 0 where it is of the padding.
fn seen(h: u32, m: u32, pixel: f32) -> f32 {
  if (POOL == 1u || PAD == 0u) {
    return pixel;
  }
  return select(0.0, pixel, (h + m >= PAD) & (h + m < H + PAD));
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

fn largest(a: vec4f, b: vec4f, c: vec4f, d: vec4f, corner: u32) -> Largest {
  let top = larger(Largest(a, vec4f(f32(corner))), b, corner + 1u);
  return larger(larger(top, c, corner + OW), d, corner + OW + 1u);
}

// Four channels of window p of a strip, the first of which belongs at i.
fn store_largest(i: u32, ow: u32, p: u32, co: u32, found: Largest) {
  if (OW % (PIXELS / ROWS) != 0u && ow + 2u * p >= OW) {
    return;
  }
  let step = OH * OW / 4u;
  let count = CO - min(co, CO);
  let all = CO % 4u == 0u && (CO + 3u) / 4u % GROUPS == 0u;
  if (all | (count > 0u)) { y[i] = found.value.x; y[HALF + i] = found.place.x; }
  if (all | (count > 1u)) { y[i + step] = found.value.y; y[HALF + i + step] = found.place.y; }
  if (all | (count > 2u)) { y[i + 2u * step] = found.value.z; y[HALF + i + 2u * step] = found.place.z; }
  if (all | (count > 3u)) { y[i + 3u * step] = found.value.w; y[HALF + i + 3u * step] = found.place.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let strip = PIXELS / ROWS;
  let strips = (OW + strip - 1u) / strip;
  let quads = (CO + 3u) / 4u;
  let lines = (OH + FOLD * POOL - 1u) / (FOLD * POOL);
  let batches = (B * POOL + ROWS - 1u) / ROWS;
  // A workgroup shares its filters: channels and columns are its own, rows and images its threads'. Neighbours
  // make the same row of different images, so that all of them leave out a row of padding.
  let rounds = (batches * lines + 31u) / 32u;
  let g = group_id.x + group_id.y * groups.x;
  let t = g % rounds * 32u + local;
  let ow = g / rounds % strips * strip;
  let quad = select(g / (rounds * strips) * GROUPS, 0u, quads <= GROUPS);
  if (t >= batches * lines || g / (rounds * strips) * GROUPS >= quads) {
    return;
  }
  let n = t % batches * (ROWS / POOL);
  let oh = t / batches * (FOLD * POOL);
  let last = min(ROWS / POOL, B - n) - 1u;
  let co = quad * 4u;
  let b{g} = offsets(co + {4 * g}u); // each g < GROUPS
  var a{m}_{p}_{g} = b{g}; // each m < ROWS, p < PIXELS / ROWS, g < GROUPS
  for (var ci = 0u; ci < CI; ci++) {
    for (var kh = 0u; kh < KH; kh++) {
      let h = oh * STRIDE + kh;
      if (h + POOL - 1u < PAD || h >= H + PAD) {
        continue;
      }
      let row{m} = row_start(n, {m}u, last, ci, h); // each m < ROWS
      var k = (ci * KH + kh) * KW * quads + quad;
      let v = ow * STRIDE;
      var f{m}_{i} = vec4f(0.0); // each m < ROWS, i < PIXELS / ROWS + 3 / 4 + 1
      if (by_fours()) {
        f{m}_{i + 1} = four(row{m}, v, {i}u); // each m < ROWS, i < PIXELS / ROWS + 3 / 4
      }
      var x{m}_{p} = 0.0; // each m < ROWS, p < PIXELS / ROWS
      x{m}_{p} = seen(h, {m}u, first(row{m}, v, {p}u, f{m}_{p / 4 + 1}, f{m}_{p / 4})); // each m < ROWS, p < PIXELS / ROWS
      for (var kw = 0u; kw < KW; kw++) {
        let w{g} = w[min(k + {g}u, CI * KH * KW * quads - 1u)]; // each g < GROUPS
        k += quads;
        a{m}_{p}_{g} += x{m}_{p} * w{g}; // each m < ROWS, p < PIXELS / ROWS, g < GROUPS
        // The window moves on by one column: SLIDES of a strip's pixels are there.
        if (kw + 1u < KW) {
          x{m}_{p} = x{m}_{p + 1}; // each m < ROWS, p < SLIDES
          x{m}_{p + SLIDES} = seen(h, {m}u, under(row{m}, v, {p + SLIDES}u, kw + 1u)); // each m < ROWS, p < PIXELS / ROWS - SLIDES
        }
      }
    }
  }
  // What stands for an image past the last one is the last one: it is stored twice.
  let i{m} = ((n + min({m}u, last)) * CO + co) * OH * OW + oh * OW + ow; // each m < ROWS, plain < 2 - POOL
  store(i{m} + {4 * g}u * OH * OW + {p}u, ow, {p}u, co + {4 * g}u, a{m}_{p}_{g}); // each m < ROWS, p < PIXELS / ROWS, g < GROUPS, plain < 2 - POOL
  let i = (n * CO + co) * (OH * OW / 4u) + oh / 2u * (OW / 2u) + ow / 2u; // each pool < POOL - 1
  let q{p}_{g} = largest(a0_{2 * p}_{g}, a0_{2 * p + 1}_{g}, a1_{2 * p}_{g}, a1_{2 * p + 1}_{g}, oh * OW + ow + {2 * p}u); // each pool < POOL - 1, p < PIXELS / ROWS / 2, g < GROUPS
  store_largest(i + {g}u * OH * OW + {p}u, ow, {p}u, co + {4 * g}u, q{p}_{g}); // each pool < POOL - 1, p < PIXELS / ROWS / 2, g < GROUPS
}
