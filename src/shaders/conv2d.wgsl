// y[b, co, oh, ow] = act(sum x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] w[ci, kh, kw, co] + bias[co])
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; w has CO rounded up to a multiple of 4
// A thread makes PIXELS pixels of a row in GROUPS groups of 4 channels: accumulator a_p_g. With FOLD 4 and CO 1
// it makes PIXELS pixels of four rows: w[ci, kh, kw, r] is then the filter moved down by r rows.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> quads_of_x: array<vec4f>; // x once more, to be read by four
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
override IMAGES: u32 = 1u; // images that the pixels are of, PIXELS / IMAGES of each, where rows are short
override FOLD: u32 = 1u; // 4: the four columns of w are four rows of one output channel, KH + 3 tall
override HAS_BIAS: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;

// The pixel at column v of the row that starts at `row`, 0 in the padding.
fn pixel(row: u32, v: u32) -> f32 {
  if (PAD == 0u) {
    return x[row + min(v, W - 1u)];
  }
  return select(0.0, x[row + min(v - PAD, W - 1u)], v >= PAD && v < W + PAD);
}

// Pixel p of a thread under column c of the kernel's row, where the thread's strips start at v. Where a strip
// is the whole row, padding costs no load.
fn under(row: u32, v: u32, c: u32, p: u32, last: u32) -> f32 {
  let strip = PIXELS / IMAGES;
  let image = row + min(p / strip, last) * CI * H * W;
  let i = p % strip + c;
  if (STRIDE == 1u && OW <= strip) {
    if (i < PAD || i >= W + PAD) {
      return 0.0;
    }
    return x[image + i - PAD];
  }
  return pixel(image, v + p % strip * STRIDE + c);
}

// Whether the strips lie on vectors of four pixels.
fn by_fours() -> bool {
  return STRIDE == 1u && PAD < 4u && W % 4u == 0u && (PIXELS / IMAGES) % 4u == 0u;
}

// The four pixels of a row, before padding, that a thread's pixels 4 i to 4 i + 3 have the same columns as.
fn four(row: u32, v: u32, i: u32, last: u32) -> vec4f {
  let strip = PIXELS / IMAGES;
  let column = v + 4u * i % strip;
  if (OW > strip && column >= W) {
    return vec4f(0.0);
  }
  return quads_of_x[(row + min(4u * i / strip, last) * CI * H * W + column) / 4u];
}

// Pixel p at first, from the vectors of its own columns and of those before.
fn first(row: u32, v: u32, p: u32, last: u32, own: vec4f, before: vec4f) -> f32 {
  let j = p % 4u;
  if (!by_fours() || (j < PAD && p % (PIXELS / IMAGES) < 4u)) {
    return under(row, v, 0u, p, last);
  }
  if (j < PAD) {
    return before[(4u + j - PAD) % 4u];
  }
  return own[(j - PAD) % 4u];
}

// Whether the pixel after p in the strip is there already: with stride 1 all but the last are.
fn slides(p: u32) -> bool {
  return STRIDE == 1u && (p + 1u) % (PIXELS / IMAGES) != 0u;
}

fn offsets(co: u32) -> vec4f {
  if (HAS_BIAS == 0u) {
    return vec4f(0.0);
  }
  let last = CO - 1u;
  return vec4f(bias[min(co, last)], bias[min(co + 1u, last)], bias[min(co + 2u, last)], bias[min(co + 3u, last)]);
}

// Four channels of pixel p; i is where the first channel of pixel 0 belongs.
fn store(first: u32, ow: u32, p: u32, last: u32, co: u32, sum: vec4f) {
  let strip = PIXELS / IMAGES;
  if (ow + p % strip >= OW || p / strip > last) {
    return;
  }
  let i = first + p / strip * CO * OH * OW + p % strip;
  var v = sum;
  if (ACTIVATION == ACTIVATION_relu) {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  if (FOLD == 4u) {
    let row = i / OW % OH;
    y[i] = v.x;
    if (row + 1u < OH) { y[i + OW] = v.y; }
    if (row + 2u < OH) { y[i + 2u * OW] = v.z; }
    if (row + 3u < OH) { y[i + 3u * OW] = v.w; }
    return;
  }
  let plane = OH * OW;
  if (co < CO) { y[i] = v.x; }
  if (co + 1u < CO) { y[i + plane] = v.y; }
  if (co + 2u < CO) { y[i + 2u * plane] = v.z; }
  if (co + 3u < CO) { y[i + 3u * plane] = v.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let strip = PIXELS / IMAGES;
  let strips = (OW + strip - 1u) / strip;
  let quads = (CO + 3u) / 4u;
  let lines = (OH + FOLD - 1u) / FOLD;
  let batches = (B + IMAGES - 1u) / IMAGES;
  // A workgroup shares its filters: channels and columns are its own, rows and images its threads'. Neighbours
  // make the same row of different images, so that all of them leave out a row of padding.
  let rounds = (batches * lines + 31u) / 32u;
  let g = group_id.x + group_id.y * groups.x;
  let t = g % rounds * 32u + local;
  let ow = g / rounds % strips * strip;
  let quad = g / (rounds * strips) * GROUPS;
  if (t >= batches * lines || quad >= quads) {
    return;
  }
  let n = t % batches * IMAGES;
  let oh = t / batches * FOLD;
  let last = min(IMAGES, B - n) - 1u;
  let co = quad * 4u;
  let b0 = offsets(co + 0u);
  let b1 = offsets(co + 4u);
  let b2 = offsets(co + 8u);
  let b3 = offsets(co + 12u);
  var a0_0 = b0; var a0_1 = b1; var a0_2 = b2; var a0_3 = b3;
  var a1_0 = b0; var a1_1 = b1; var a1_2 = b2; var a1_3 = b3;
  var a2_0 = b0; var a2_1 = b1; var a2_2 = b2; var a2_3 = b3;
  var a3_0 = b0; var a3_1 = b1; var a3_2 = b2; var a3_3 = b3;
  var a4_0 = b0; var a4_1 = b1; var a4_2 = b2; var a4_3 = b3;
  var a5_0 = b0; var a5_1 = b1; var a5_2 = b2; var a5_3 = b3;
  var a6_0 = b0; var a6_1 = b1; var a6_2 = b2; var a6_3 = b3;
  var a7_0 = b0; var a7_1 = b1; var a7_2 = b2; var a7_3 = b3;
  var a8_0 = b0; var a8_1 = b1; var a8_2 = b2; var a8_3 = b3;
  var a9_0 = b0; var a9_1 = b1; var a9_2 = b2; var a9_3 = b3;
  var a10_0 = b0; var a10_1 = b1; var a10_2 = b2; var a10_3 = b3;
  var a11_0 = b0; var a11_1 = b1; var a11_2 = b2; var a11_3 = b3;
  var a12_0 = b0; var a12_1 = b1; var a12_2 = b2; var a12_3 = b3;
  var a13_0 = b0; var a13_1 = b1; var a13_2 = b2; var a13_3 = b3;
  var a14_0 = b0; var a14_1 = b1; var a14_2 = b2; var a14_3 = b3;
  var a15_0 = b0; var a15_1 = b1; var a15_2 = b2; var a15_3 = b3;
  var a16_0 = b0; var a16_1 = b1; var a16_2 = b2; var a16_3 = b3;
  var a17_0 = b0; var a17_1 = b1; var a17_2 = b2; var a17_3 = b3;
  var a18_0 = b0; var a18_1 = b1; var a18_2 = b2; var a18_3 = b3;
  var a19_0 = b0; var a19_1 = b1; var a19_2 = b2; var a19_3 = b3;
  var a20_0 = b0; var a20_1 = b1; var a20_2 = b2; var a20_3 = b3;
  var a21_0 = b0; var a21_1 = b1; var a21_2 = b2; var a21_3 = b3;
  var a22_0 = b0; var a22_1 = b1; var a22_2 = b2; var a22_3 = b3;
  var a23_0 = b0; var a23_1 = b1; var a23_2 = b2; var a23_3 = b3;
  var a24_0 = b0; var a24_1 = b1; var a24_2 = b2; var a24_3 = b3;
  var a25_0 = b0; var a25_1 = b1; var a25_2 = b2; var a25_3 = b3;
  var a26_0 = b0; var a26_1 = b1; var a26_2 = b2; var a26_3 = b3;
  var a27_0 = b0; var a27_1 = b1; var a27_2 = b2; var a27_3 = b3;
  var a28_0 = b0; var a28_1 = b1; var a28_2 = b2; var a28_3 = b3;
  var a29_0 = b0; var a29_1 = b1; var a29_2 = b2; var a29_3 = b3;
  var a30_0 = b0; var a30_1 = b1; var a30_2 = b2; var a30_3 = b3;
  var a31_0 = b0; var a31_1 = b1; var a31_2 = b2; var a31_3 = b3;
  for (var ci = 0u; ci < CI; ci++) {
    for (var kh = 0u; kh < KH; kh++) {
      let h = oh * STRIDE + kh;
      if (h < PAD || h >= H + PAD) {
        continue;
      }
      let row = ((n * CI + ci) * H + h - PAD) * W;
      var k = (ci * KH + kh) * KW * quads + quad;
      let v = ow * STRIDE;
      var f0 = vec4f(0.0); if (by_fours()) { f0 = four(row, v, 0u, last); }
      var f1 = vec4f(0.0); if (by_fours() && PIXELS > 4u) { f1 = four(row, v, 1u, last); }
      var f2 = vec4f(0.0); if (by_fours() && PIXELS > 8u) { f2 = four(row, v, 2u, last); }
      var f3 = vec4f(0.0); if (by_fours() && PIXELS > 12u) { f3 = four(row, v, 3u, last); }
      var f4 = vec4f(0.0); if (by_fours() && PIXELS > 16u) { f4 = four(row, v, 4u, last); }
      var f5 = vec4f(0.0); if (by_fours() && PIXELS > 20u) { f5 = four(row, v, 5u, last); }
      var f6 = vec4f(0.0); if (by_fours() && PIXELS > 24u) { f6 = four(row, v, 6u, last); }
      var f7 = vec4f(0.0); if (by_fours() && PIXELS > 28u) { f7 = four(row, v, 7u, last); }
      var x0 = 0.0; if (PIXELS > 0u) { x0 = first(row, v, 0u, last, f0, f0); }
      var x1 = 0.0; if (PIXELS > 1u) { x1 = first(row, v, 1u, last, f0, f0); }
      var x2 = 0.0; if (PIXELS > 2u) { x2 = first(row, v, 2u, last, f0, f0); }
      var x3 = 0.0; if (PIXELS > 3u) { x3 = first(row, v, 3u, last, f0, f0); }
      var x4 = 0.0; if (PIXELS > 4u) { x4 = first(row, v, 4u, last, f1, f0); }
      var x5 = 0.0; if (PIXELS > 5u) { x5 = first(row, v, 5u, last, f1, f0); }
      var x6 = 0.0; if (PIXELS > 6u) { x6 = first(row, v, 6u, last, f1, f0); }
      var x7 = 0.0; if (PIXELS > 7u) { x7 = first(row, v, 7u, last, f1, f0); }
      var x8 = 0.0; if (PIXELS > 8u) { x8 = first(row, v, 8u, last, f2, f1); }
      var x9 = 0.0; if (PIXELS > 9u) { x9 = first(row, v, 9u, last, f2, f1); }
      var x10 = 0.0; if (PIXELS > 10u) { x10 = first(row, v, 10u, last, f2, f1); }
      var x11 = 0.0; if (PIXELS > 11u) { x11 = first(row, v, 11u, last, f2, f1); }
      var x12 = 0.0; if (PIXELS > 12u) { x12 = first(row, v, 12u, last, f3, f2); }
      var x13 = 0.0; if (PIXELS > 13u) { x13 = first(row, v, 13u, last, f3, f2); }
      var x14 = 0.0; if (PIXELS > 14u) { x14 = first(row, v, 14u, last, f3, f2); }
      var x15 = 0.0; if (PIXELS > 15u) { x15 = first(row, v, 15u, last, f3, f2); }
      var x16 = 0.0; if (PIXELS > 16u) { x16 = first(row, v, 16u, last, f4, f3); }
      var x17 = 0.0; if (PIXELS > 17u) { x17 = first(row, v, 17u, last, f4, f3); }
      var x18 = 0.0; if (PIXELS > 18u) { x18 = first(row, v, 18u, last, f4, f3); }
      var x19 = 0.0; if (PIXELS > 19u) { x19 = first(row, v, 19u, last, f4, f3); }
      var x20 = 0.0; if (PIXELS > 20u) { x20 = first(row, v, 20u, last, f5, f4); }
      var x21 = 0.0; if (PIXELS > 21u) { x21 = first(row, v, 21u, last, f5, f4); }
      var x22 = 0.0; if (PIXELS > 22u) { x22 = first(row, v, 22u, last, f5, f4); }
      var x23 = 0.0; if (PIXELS > 23u) { x23 = first(row, v, 23u, last, f5, f4); }
      var x24 = 0.0; if (PIXELS > 24u) { x24 = first(row, v, 24u, last, f6, f5); }
      var x25 = 0.0; if (PIXELS > 25u) { x25 = first(row, v, 25u, last, f6, f5); }
      var x26 = 0.0; if (PIXELS > 26u) { x26 = first(row, v, 26u, last, f6, f5); }
      var x27 = 0.0; if (PIXELS > 27u) { x27 = first(row, v, 27u, last, f6, f5); }
      var x28 = 0.0; if (PIXELS > 28u) { x28 = first(row, v, 28u, last, f7, f6); }
      var x29 = 0.0; if (PIXELS > 29u) { x29 = first(row, v, 29u, last, f7, f6); }
      var x30 = 0.0; if (PIXELS > 30u) { x30 = first(row, v, 30u, last, f7, f6); }
      var x31 = 0.0; if (PIXELS > 31u) { x31 = first(row, v, 31u, last, f7, f6); }
      for (var kw = 0u; kw < KW; kw++) {
        let w0 = w[k];
        var w1 = w0; if (GROUPS > 1u) { w1 = w[min(k + 1u, CI * KH * KW * quads - 1u)]; }
        var w2 = w0; if (GROUPS > 2u) { w2 = w[min(k + 2u, CI * KH * KW * quads - 1u)]; }
        var w3 = w0; if (GROUPS > 3u) { w3 = w[min(k + 3u, CI * KH * KW * quads - 1u)]; }
        k += quads;
        if (PIXELS > 0u) { a0_0 += x0 * w0; if (GROUPS > 1u) { a0_1 += x0 * w1; } if (GROUPS > 2u) { a0_2 += x0 * w2; } if (GROUPS > 3u) { a0_3 += x0 * w3; } }
        if (PIXELS > 1u) { a1_0 += x1 * w0; if (GROUPS > 1u) { a1_1 += x1 * w1; } if (GROUPS > 2u) { a1_2 += x1 * w2; } if (GROUPS > 3u) { a1_3 += x1 * w3; } }
        if (PIXELS > 2u) { a2_0 += x2 * w0; if (GROUPS > 1u) { a2_1 += x2 * w1; } if (GROUPS > 2u) { a2_2 += x2 * w2; } if (GROUPS > 3u) { a2_3 += x2 * w3; } }
        if (PIXELS > 3u) { a3_0 += x3 * w0; if (GROUPS > 1u) { a3_1 += x3 * w1; } if (GROUPS > 2u) { a3_2 += x3 * w2; } if (GROUPS > 3u) { a3_3 += x3 * w3; } }
        if (PIXELS > 4u) { a4_0 += x4 * w0; if (GROUPS > 1u) { a4_1 += x4 * w1; } if (GROUPS > 2u) { a4_2 += x4 * w2; } if (GROUPS > 3u) { a4_3 += x4 * w3; } }
        if (PIXELS > 5u) { a5_0 += x5 * w0; if (GROUPS > 1u) { a5_1 += x5 * w1; } if (GROUPS > 2u) { a5_2 += x5 * w2; } if (GROUPS > 3u) { a5_3 += x5 * w3; } }
        if (PIXELS > 6u) { a6_0 += x6 * w0; if (GROUPS > 1u) { a6_1 += x6 * w1; } if (GROUPS > 2u) { a6_2 += x6 * w2; } if (GROUPS > 3u) { a6_3 += x6 * w3; } }
        if (PIXELS > 7u) { a7_0 += x7 * w0; if (GROUPS > 1u) { a7_1 += x7 * w1; } if (GROUPS > 2u) { a7_2 += x7 * w2; } if (GROUPS > 3u) { a7_3 += x7 * w3; } }
        if (PIXELS > 8u) { a8_0 += x8 * w0; if (GROUPS > 1u) { a8_1 += x8 * w1; } if (GROUPS > 2u) { a8_2 += x8 * w2; } if (GROUPS > 3u) { a8_3 += x8 * w3; } }
        if (PIXELS > 9u) { a9_0 += x9 * w0; if (GROUPS > 1u) { a9_1 += x9 * w1; } if (GROUPS > 2u) { a9_2 += x9 * w2; } if (GROUPS > 3u) { a9_3 += x9 * w3; } }
        if (PIXELS > 10u) { a10_0 += x10 * w0; if (GROUPS > 1u) { a10_1 += x10 * w1; } if (GROUPS > 2u) { a10_2 += x10 * w2; } if (GROUPS > 3u) { a10_3 += x10 * w3; } }
        if (PIXELS > 11u) { a11_0 += x11 * w0; if (GROUPS > 1u) { a11_1 += x11 * w1; } if (GROUPS > 2u) { a11_2 += x11 * w2; } if (GROUPS > 3u) { a11_3 += x11 * w3; } }
        if (PIXELS > 12u) { a12_0 += x12 * w0; if (GROUPS > 1u) { a12_1 += x12 * w1; } if (GROUPS > 2u) { a12_2 += x12 * w2; } if (GROUPS > 3u) { a12_3 += x12 * w3; } }
        if (PIXELS > 13u) { a13_0 += x13 * w0; if (GROUPS > 1u) { a13_1 += x13 * w1; } if (GROUPS > 2u) { a13_2 += x13 * w2; } if (GROUPS > 3u) { a13_3 += x13 * w3; } }
        if (PIXELS > 14u) { a14_0 += x14 * w0; if (GROUPS > 1u) { a14_1 += x14 * w1; } if (GROUPS > 2u) { a14_2 += x14 * w2; } if (GROUPS > 3u) { a14_3 += x14 * w3; } }
        if (PIXELS > 15u) { a15_0 += x15 * w0; if (GROUPS > 1u) { a15_1 += x15 * w1; } if (GROUPS > 2u) { a15_2 += x15 * w2; } if (GROUPS > 3u) { a15_3 += x15 * w3; } }
        if (PIXELS > 16u) { a16_0 += x16 * w0; if (GROUPS > 1u) { a16_1 += x16 * w1; } if (GROUPS > 2u) { a16_2 += x16 * w2; } if (GROUPS > 3u) { a16_3 += x16 * w3; } }
        if (PIXELS > 17u) { a17_0 += x17 * w0; if (GROUPS > 1u) { a17_1 += x17 * w1; } if (GROUPS > 2u) { a17_2 += x17 * w2; } if (GROUPS > 3u) { a17_3 += x17 * w3; } }
        if (PIXELS > 18u) { a18_0 += x18 * w0; if (GROUPS > 1u) { a18_1 += x18 * w1; } if (GROUPS > 2u) { a18_2 += x18 * w2; } if (GROUPS > 3u) { a18_3 += x18 * w3; } }
        if (PIXELS > 19u) { a19_0 += x19 * w0; if (GROUPS > 1u) { a19_1 += x19 * w1; } if (GROUPS > 2u) { a19_2 += x19 * w2; } if (GROUPS > 3u) { a19_3 += x19 * w3; } }
        if (PIXELS > 20u) { a20_0 += x20 * w0; if (GROUPS > 1u) { a20_1 += x20 * w1; } if (GROUPS > 2u) { a20_2 += x20 * w2; } if (GROUPS > 3u) { a20_3 += x20 * w3; } }
        if (PIXELS > 21u) { a21_0 += x21 * w0; if (GROUPS > 1u) { a21_1 += x21 * w1; } if (GROUPS > 2u) { a21_2 += x21 * w2; } if (GROUPS > 3u) { a21_3 += x21 * w3; } }
        if (PIXELS > 22u) { a22_0 += x22 * w0; if (GROUPS > 1u) { a22_1 += x22 * w1; } if (GROUPS > 2u) { a22_2 += x22 * w2; } if (GROUPS > 3u) { a22_3 += x22 * w3; } }
        if (PIXELS > 23u) { a23_0 += x23 * w0; if (GROUPS > 1u) { a23_1 += x23 * w1; } if (GROUPS > 2u) { a23_2 += x23 * w2; } if (GROUPS > 3u) { a23_3 += x23 * w3; } }
        if (PIXELS > 24u) { a24_0 += x24 * w0; if (GROUPS > 1u) { a24_1 += x24 * w1; } if (GROUPS > 2u) { a24_2 += x24 * w2; } if (GROUPS > 3u) { a24_3 += x24 * w3; } }
        if (PIXELS > 25u) { a25_0 += x25 * w0; if (GROUPS > 1u) { a25_1 += x25 * w1; } if (GROUPS > 2u) { a25_2 += x25 * w2; } if (GROUPS > 3u) { a25_3 += x25 * w3; } }
        if (PIXELS > 26u) { a26_0 += x26 * w0; if (GROUPS > 1u) { a26_1 += x26 * w1; } if (GROUPS > 2u) { a26_2 += x26 * w2; } if (GROUPS > 3u) { a26_3 += x26 * w3; } }
        if (PIXELS > 27u) { a27_0 += x27 * w0; if (GROUPS > 1u) { a27_1 += x27 * w1; } if (GROUPS > 2u) { a27_2 += x27 * w2; } if (GROUPS > 3u) { a27_3 += x27 * w3; } }
        if (PIXELS > 28u) { a28_0 += x28 * w0; if (GROUPS > 1u) { a28_1 += x28 * w1; } if (GROUPS > 2u) { a28_2 += x28 * w2; } if (GROUPS > 3u) { a28_3 += x28 * w3; } }
        if (PIXELS > 29u) { a29_0 += x29 * w0; if (GROUPS > 1u) { a29_1 += x29 * w1; } if (GROUPS > 2u) { a29_2 += x29 * w2; } if (GROUPS > 3u) { a29_3 += x29 * w3; } }
        if (PIXELS > 30u) { a30_0 += x30 * w0; if (GROUPS > 1u) { a30_1 += x30 * w1; } if (GROUPS > 2u) { a30_2 += x30 * w2; } if (GROUPS > 3u) { a30_3 += x30 * w3; } }
        if (PIXELS > 31u) { a31_0 += x31 * w0; if (GROUPS > 1u) { a31_1 += x31 * w1; } if (GROUPS > 2u) { a31_2 += x31 * w2; } if (GROUPS > 3u) { a31_3 += x31 * w3; } }
        // The window moves on by one column: with stride 1 all but one of its pixels are there.
        if (kw + 1u < KW) {
          let c = kw + 1u;
          if (PIXELS > 0u) { if (slides(0u)) { x0 = x1; } else { x0 = under(row, v, c, 0u, last); } }
          if (PIXELS > 1u) { if (slides(1u)) { x1 = x2; } else { x1 = under(row, v, c, 1u, last); } }
          if (PIXELS > 2u) { if (slides(2u)) { x2 = x3; } else { x2 = under(row, v, c, 2u, last); } }
          if (PIXELS > 3u) { if (slides(3u)) { x3 = x4; } else { x3 = under(row, v, c, 3u, last); } }
          if (PIXELS > 4u) { if (slides(4u)) { x4 = x5; } else { x4 = under(row, v, c, 4u, last); } }
          if (PIXELS > 5u) { if (slides(5u)) { x5 = x6; } else { x5 = under(row, v, c, 5u, last); } }
          if (PIXELS > 6u) { if (slides(6u)) { x6 = x7; } else { x6 = under(row, v, c, 6u, last); } }
          if (PIXELS > 7u) { if (slides(7u)) { x7 = x8; } else { x7 = under(row, v, c, 7u, last); } }
          if (PIXELS > 8u) { if (slides(8u)) { x8 = x9; } else { x8 = under(row, v, c, 8u, last); } }
          if (PIXELS > 9u) { if (slides(9u)) { x9 = x10; } else { x9 = under(row, v, c, 9u, last); } }
          if (PIXELS > 10u) { if (slides(10u)) { x10 = x11; } else { x10 = under(row, v, c, 10u, last); } }
          if (PIXELS > 11u) { if (slides(11u)) { x11 = x12; } else { x11 = under(row, v, c, 11u, last); } }
          if (PIXELS > 12u) { if (slides(12u)) { x12 = x13; } else { x12 = under(row, v, c, 12u, last); } }
          if (PIXELS > 13u) { if (slides(13u)) { x13 = x14; } else { x13 = under(row, v, c, 13u, last); } }
          if (PIXELS > 14u) { if (slides(14u)) { x14 = x15; } else { x14 = under(row, v, c, 14u, last); } }
          if (PIXELS > 15u) { if (slides(15u)) { x15 = x16; } else { x15 = under(row, v, c, 15u, last); } }
          if (PIXELS > 16u) { if (slides(16u)) { x16 = x17; } else { x16 = under(row, v, c, 16u, last); } }
          if (PIXELS > 17u) { if (slides(17u)) { x17 = x18; } else { x17 = under(row, v, c, 17u, last); } }
          if (PIXELS > 18u) { if (slides(18u)) { x18 = x19; } else { x18 = under(row, v, c, 18u, last); } }
          if (PIXELS > 19u) { if (slides(19u)) { x19 = x20; } else { x19 = under(row, v, c, 19u, last); } }
          if (PIXELS > 20u) { if (slides(20u)) { x20 = x21; } else { x20 = under(row, v, c, 20u, last); } }
          if (PIXELS > 21u) { if (slides(21u)) { x21 = x22; } else { x21 = under(row, v, c, 21u, last); } }
          if (PIXELS > 22u) { if (slides(22u)) { x22 = x23; } else { x22 = under(row, v, c, 22u, last); } }
          if (PIXELS > 23u) { if (slides(23u)) { x23 = x24; } else { x23 = under(row, v, c, 23u, last); } }
          if (PIXELS > 24u) { if (slides(24u)) { x24 = x25; } else { x24 = under(row, v, c, 24u, last); } }
          if (PIXELS > 25u) { if (slides(25u)) { x25 = x26; } else { x25 = under(row, v, c, 25u, last); } }
          if (PIXELS > 26u) { if (slides(26u)) { x26 = x27; } else { x26 = under(row, v, c, 26u, last); } }
          if (PIXELS > 27u) { if (slides(27u)) { x27 = x28; } else { x27 = under(row, v, c, 27u, last); } }
          if (PIXELS > 28u) { if (slides(28u)) { x28 = x29; } else { x28 = under(row, v, c, 28u, last); } }
          if (PIXELS > 29u) { if (slides(29u)) { x29 = x30; } else { x29 = under(row, v, c, 29u, last); } }
          if (PIXELS > 30u) { if (slides(30u)) { x30 = x31; } else { x30 = under(row, v, c, 30u, last); } }
          if (PIXELS > 31u) { x31 = under(row, v, c, 31u, last); }
        }
      }
    }
  }
  let i = ((n * CO + co) * OH + oh) * OW + ow;
  let group = 4u * OH * OW;
  if (PIXELS > 0u) { store(i, ow, 0u, last, co, a0_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 0u, last, co + 4u, a0_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 0u, last, co + 8u, a0_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 0u, last, co + 12u, a0_3); } }
  if (PIXELS > 1u) { store(i, ow, 1u, last, co, a1_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 1u, last, co + 4u, a1_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 1u, last, co + 8u, a1_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 1u, last, co + 12u, a1_3); } }
  if (PIXELS > 2u) { store(i, ow, 2u, last, co, a2_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 2u, last, co + 4u, a2_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 2u, last, co + 8u, a2_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 2u, last, co + 12u, a2_3); } }
  if (PIXELS > 3u) { store(i, ow, 3u, last, co, a3_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 3u, last, co + 4u, a3_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 3u, last, co + 8u, a3_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 3u, last, co + 12u, a3_3); } }
  if (PIXELS > 4u) { store(i, ow, 4u, last, co, a4_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 4u, last, co + 4u, a4_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 4u, last, co + 8u, a4_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 4u, last, co + 12u, a4_3); } }
  if (PIXELS > 5u) { store(i, ow, 5u, last, co, a5_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 5u, last, co + 4u, a5_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 5u, last, co + 8u, a5_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 5u, last, co + 12u, a5_3); } }
  if (PIXELS > 6u) { store(i, ow, 6u, last, co, a6_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 6u, last, co + 4u, a6_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 6u, last, co + 8u, a6_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 6u, last, co + 12u, a6_3); } }
  if (PIXELS > 7u) { store(i, ow, 7u, last, co, a7_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 7u, last, co + 4u, a7_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 7u, last, co + 8u, a7_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 7u, last, co + 12u, a7_3); } }
  if (PIXELS > 8u) { store(i, ow, 8u, last, co, a8_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 8u, last, co + 4u, a8_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 8u, last, co + 8u, a8_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 8u, last, co + 12u, a8_3); } }
  if (PIXELS > 9u) { store(i, ow, 9u, last, co, a9_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 9u, last, co + 4u, a9_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 9u, last, co + 8u, a9_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 9u, last, co + 12u, a9_3); } }
  if (PIXELS > 10u) { store(i, ow, 10u, last, co, a10_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 10u, last, co + 4u, a10_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 10u, last, co + 8u, a10_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 10u, last, co + 12u, a10_3); } }
  if (PIXELS > 11u) { store(i, ow, 11u, last, co, a11_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 11u, last, co + 4u, a11_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 11u, last, co + 8u, a11_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 11u, last, co + 12u, a11_3); } }
  if (PIXELS > 12u) { store(i, ow, 12u, last, co, a12_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 12u, last, co + 4u, a12_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 12u, last, co + 8u, a12_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 12u, last, co + 12u, a12_3); } }
  if (PIXELS > 13u) { store(i, ow, 13u, last, co, a13_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 13u, last, co + 4u, a13_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 13u, last, co + 8u, a13_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 13u, last, co + 12u, a13_3); } }
  if (PIXELS > 14u) { store(i, ow, 14u, last, co, a14_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 14u, last, co + 4u, a14_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 14u, last, co + 8u, a14_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 14u, last, co + 12u, a14_3); } }
  if (PIXELS > 15u) { store(i, ow, 15u, last, co, a15_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 15u, last, co + 4u, a15_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 15u, last, co + 8u, a15_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 15u, last, co + 12u, a15_3); } }
  if (PIXELS > 16u) { store(i, ow, 16u, last, co, a16_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 16u, last, co + 4u, a16_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 16u, last, co + 8u, a16_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 16u, last, co + 12u, a16_3); } }
  if (PIXELS > 17u) { store(i, ow, 17u, last, co, a17_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 17u, last, co + 4u, a17_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 17u, last, co + 8u, a17_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 17u, last, co + 12u, a17_3); } }
  if (PIXELS > 18u) { store(i, ow, 18u, last, co, a18_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 18u, last, co + 4u, a18_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 18u, last, co + 8u, a18_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 18u, last, co + 12u, a18_3); } }
  if (PIXELS > 19u) { store(i, ow, 19u, last, co, a19_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 19u, last, co + 4u, a19_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 19u, last, co + 8u, a19_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 19u, last, co + 12u, a19_3); } }
  if (PIXELS > 20u) { store(i, ow, 20u, last, co, a20_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 20u, last, co + 4u, a20_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 20u, last, co + 8u, a20_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 20u, last, co + 12u, a20_3); } }
  if (PIXELS > 21u) { store(i, ow, 21u, last, co, a21_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 21u, last, co + 4u, a21_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 21u, last, co + 8u, a21_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 21u, last, co + 12u, a21_3); } }
  if (PIXELS > 22u) { store(i, ow, 22u, last, co, a22_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 22u, last, co + 4u, a22_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 22u, last, co + 8u, a22_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 22u, last, co + 12u, a22_3); } }
  if (PIXELS > 23u) { store(i, ow, 23u, last, co, a23_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 23u, last, co + 4u, a23_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 23u, last, co + 8u, a23_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 23u, last, co + 12u, a23_3); } }
  if (PIXELS > 24u) { store(i, ow, 24u, last, co, a24_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 24u, last, co + 4u, a24_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 24u, last, co + 8u, a24_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 24u, last, co + 12u, a24_3); } }
  if (PIXELS > 25u) { store(i, ow, 25u, last, co, a25_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 25u, last, co + 4u, a25_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 25u, last, co + 8u, a25_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 25u, last, co + 12u, a25_3); } }
  if (PIXELS > 26u) { store(i, ow, 26u, last, co, a26_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 26u, last, co + 4u, a26_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 26u, last, co + 8u, a26_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 26u, last, co + 12u, a26_3); } }
  if (PIXELS > 27u) { store(i, ow, 27u, last, co, a27_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 27u, last, co + 4u, a27_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 27u, last, co + 8u, a27_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 27u, last, co + 12u, a27_3); } }
  if (PIXELS > 28u) { store(i, ow, 28u, last, co, a28_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 28u, last, co + 4u, a28_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 28u, last, co + 8u, a28_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 28u, last, co + 12u, a28_3); } }
  if (PIXELS > 29u) { store(i, ow, 29u, last, co, a29_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 29u, last, co + 4u, a29_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 29u, last, co + 8u, a29_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 29u, last, co + 12u, a29_3); } }
  if (PIXELS > 30u) { store(i, ow, 30u, last, co, a30_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 30u, last, co + 4u, a30_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 30u, last, co + 8u, a30_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 30u, last, co + 12u, a30_3); } }
  if (PIXELS > 31u) { store(i, ow, 31u, last, co, a31_0); if (GROUPS > 1u) { store(i + 1u * group, ow, 31u, last, co + 4u, a31_1); } if (GROUPS > 2u) { store(i + 2u * group, ow, 31u, last, co + 8u, a31_2); } if (GROUPS > 3u) { store(i + 3u * group, ow, 31u, last, co + 12u, a31_3); } }
}
