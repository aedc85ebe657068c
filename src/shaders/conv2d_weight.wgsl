// w[s, co, ci, kh, kw] = sum over the images of split s, oh, ow of x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] g[b, oh, ow, co]
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; SPLIT shares of the images
// g has CO rounded up to a multiple of 4; with PLANAR it is `planes` [b, co, oh, ow] instead
// A thread makes ROWS x COLUMNS taps of one ci in GROUPS groups of 4 channels co: accumulator a_r_c_q.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> planes: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;

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
override SPLIT: u32 = 1u;
override PLANAR: u32 = 0u;
override GROUPS: u32 = 2u; // groups of 4 output channels a thread makes, 1 to 4
override ROWS: u32 = 5u; // rows of the kernel it makes, 1 to 5
override COLUMNS: u32 = 5u; // columns of the kernel it makes, 1 to 5

// The pixel at row h and column v of the padded plane that starts at `plane`, 0 in the padding.
fn pixel(plane: u32, h: u32, v: u32) -> f32 {
  if (PAD == 0u) {
    return x[plane + min(h, H - 1u) * W + min(v, W - 1u)];
  }
  let inside = h >= PAD && h < H + PAD && v >= PAD && v < W + PAD;
  return select(0.0, x[plane + min(h - PAD, H - 1u) * W + min(v - PAD, W - 1u)], inside);
}

// Four channels of the gradient at a pixel of image n, from `planes`.
fn gather(n: u32, pixel: u32, co: u32) -> vec4f {
  let at = n * CO * OH * OW + pixel;
  let last = CO - 1u;
  return vec4f(planes[at + min(co, last) * OH * OW], planes[at + min(co + 1u, last) * OH * OW],
    planes[at + min(co + 2u, last) * OH * OW], planes[at + min(co + 3u, last) * OH * OW]);
}

fn store(s: u32, co: u32, ci: u32, kh: u32, kw: u32, sum: vec4f) {
  if (kh >= KH || kw >= KW) {
    return;
  }
  let filter_size = CI * KH * KW;
  let i = (s * CO + co) * filter_size + (ci * KH + kh) * KW + kw;
  if (co < CO) { w[i] = sum.x; }
  if (co + 1u < CO) { w[i + filter_size] = sum.y; }
  if (co + 2u < CO) { w[i + 2u * filter_size] = sum.z; }
  if (co + 3u < CO) { w[i + 3u * filter_size] = sum.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let runs = (KW + COLUMNS - 1u) / COLUMNS;
  let bands = (KH + ROWS - 1u) / ROWS;
  let quads = (CO + 3u) / 4u;
  let blocks = (quads + GROUPS - 1u) / GROUPS;
  if (t >= SPLIT * blocks * CI * bands * runs) {
    return;
  }
  let kw = t % runs * COLUMNS;
  let kh = t / runs % bands * ROWS;
  let ci = t / (runs * bands) % CI;
  let quad = t / (runs * bands * CI) % blocks * GROUPS;
  let s = t / (runs * bands * CI * blocks);
  let chunk = (B + SPLIT - 1u) / SPLIT;
  let last = quads - 1u;
  var a0_0_0 = vec4f(0.0); var a0_0_1 = vec4f(0.0); var a0_0_2 = vec4f(0.0); var a0_0_3 = vec4f(0.0); var a0_1_0 = vec4f(0.0); var a0_1_1 = vec4f(0.0); var a0_1_2 = vec4f(0.0); var a0_1_3 = vec4f(0.0); var a0_2_0 = vec4f(0.0); var a0_2_1 = vec4f(0.0); var a0_2_2 = vec4f(0.0); var a0_2_3 = vec4f(0.0); var a0_3_0 = vec4f(0.0); var a0_3_1 = vec4f(0.0); var a0_3_2 = vec4f(0.0); var a0_3_3 = vec4f(0.0); var a0_4_0 = vec4f(0.0); var a0_4_1 = vec4f(0.0); var a0_4_2 = vec4f(0.0); var a0_4_3 = vec4f(0.0);
  var a1_0_0 = vec4f(0.0); var a1_0_1 = vec4f(0.0); var a1_0_2 = vec4f(0.0); var a1_0_3 = vec4f(0.0); var a1_1_0 = vec4f(0.0); var a1_1_1 = vec4f(0.0); var a1_1_2 = vec4f(0.0); var a1_1_3 = vec4f(0.0); var a1_2_0 = vec4f(0.0); var a1_2_1 = vec4f(0.0); var a1_2_2 = vec4f(0.0); var a1_2_3 = vec4f(0.0); var a1_3_0 = vec4f(0.0); var a1_3_1 = vec4f(0.0); var a1_3_2 = vec4f(0.0); var a1_3_3 = vec4f(0.0); var a1_4_0 = vec4f(0.0); var a1_4_1 = vec4f(0.0); var a1_4_2 = vec4f(0.0); var a1_4_3 = vec4f(0.0);
  var a2_0_0 = vec4f(0.0); var a2_0_1 = vec4f(0.0); var a2_0_2 = vec4f(0.0); var a2_0_3 = vec4f(0.0); var a2_1_0 = vec4f(0.0); var a2_1_1 = vec4f(0.0); var a2_1_2 = vec4f(0.0); var a2_1_3 = vec4f(0.0); var a2_2_0 = vec4f(0.0); var a2_2_1 = vec4f(0.0); var a2_2_2 = vec4f(0.0); var a2_2_3 = vec4f(0.0); var a2_3_0 = vec4f(0.0); var a2_3_1 = vec4f(0.0); var a2_3_2 = vec4f(0.0); var a2_3_3 = vec4f(0.0); var a2_4_0 = vec4f(0.0); var a2_4_1 = vec4f(0.0); var a2_4_2 = vec4f(0.0); var a2_4_3 = vec4f(0.0);
  var a3_0_0 = vec4f(0.0); var a3_0_1 = vec4f(0.0); var a3_0_2 = vec4f(0.0); var a3_0_3 = vec4f(0.0); var a3_1_0 = vec4f(0.0); var a3_1_1 = vec4f(0.0); var a3_1_2 = vec4f(0.0); var a3_1_3 = vec4f(0.0); var a3_2_0 = vec4f(0.0); var a3_2_1 = vec4f(0.0); var a3_2_2 = vec4f(0.0); var a3_2_3 = vec4f(0.0); var a3_3_0 = vec4f(0.0); var a3_3_1 = vec4f(0.0); var a3_3_2 = vec4f(0.0); var a3_3_3 = vec4f(0.0); var a3_4_0 = vec4f(0.0); var a3_4_1 = vec4f(0.0); var a3_4_2 = vec4f(0.0); var a3_4_3 = vec4f(0.0);
  var a4_0_0 = vec4f(0.0); var a4_0_1 = vec4f(0.0); var a4_0_2 = vec4f(0.0); var a4_0_3 = vec4f(0.0); var a4_1_0 = vec4f(0.0); var a4_1_1 = vec4f(0.0); var a4_1_2 = vec4f(0.0); var a4_1_3 = vec4f(0.0); var a4_2_0 = vec4f(0.0); var a4_2_1 = vec4f(0.0); var a4_2_2 = vec4f(0.0); var a4_2_3 = vec4f(0.0); var a4_3_0 = vec4f(0.0); var a4_3_1 = vec4f(0.0); var a4_3_2 = vec4f(0.0); var a4_3_3 = vec4f(0.0); var a4_4_0 = vec4f(0.0); var a4_4_1 = vec4f(0.0); var a4_4_2 = vec4f(0.0); var a4_4_3 = vec4f(0.0);
  for (var n = s * chunk; n < min(B, (s + 1u) * chunk); n++) {
    let plane = (n * CI + ci) * H * W;
    for (var oh = 0u; oh < OH; oh++) {
      let h = oh * STRIDE + kh;
      var i = (n * OH + oh) * OW * quads;
      var x0_0 = 0.0; var x0_1 = 0.0; var x0_2 = 0.0; var x0_3 = 0.0; var x0_4 = 0.0;
      var x1_0 = 0.0; var x1_1 = 0.0; var x1_2 = 0.0; var x1_3 = 0.0; var x1_4 = 0.0;
      var x2_0 = 0.0; var x2_1 = 0.0; var x2_2 = 0.0; var x2_3 = 0.0; var x2_4 = 0.0;
      var x3_0 = 0.0; var x3_1 = 0.0; var x3_2 = 0.0; var x3_3 = 0.0; var x3_4 = 0.0;
      var x4_0 = 0.0; var x4_1 = 0.0; var x4_2 = 0.0; var x4_3 = 0.0; var x4_4 = 0.0;
      if (STRIDE == 1u && ROWS > 0u) { if (COLUMNS > 1u) { x0_0 = pixel(plane, h + 0u, kw + 0u); } if (COLUMNS > 2u) { x0_1 = pixel(plane, h + 0u, kw + 1u); } if (COLUMNS > 3u) { x0_2 = pixel(plane, h + 0u, kw + 2u); } if (COLUMNS > 4u) { x0_3 = pixel(plane, h + 0u, kw + 3u); } }
      if (STRIDE == 1u && ROWS > 1u) { if (COLUMNS > 1u) { x1_0 = pixel(plane, h + 1u, kw + 0u); } if (COLUMNS > 2u) { x1_1 = pixel(plane, h + 1u, kw + 1u); } if (COLUMNS > 3u) { x1_2 = pixel(plane, h + 1u, kw + 2u); } if (COLUMNS > 4u) { x1_3 = pixel(plane, h + 1u, kw + 3u); } }
      if (STRIDE == 1u && ROWS > 2u) { if (COLUMNS > 1u) { x2_0 = pixel(plane, h + 2u, kw + 0u); } if (COLUMNS > 2u) { x2_1 = pixel(plane, h + 2u, kw + 1u); } if (COLUMNS > 3u) { x2_2 = pixel(plane, h + 2u, kw + 2u); } if (COLUMNS > 4u) { x2_3 = pixel(plane, h + 2u, kw + 3u); } }
      if (STRIDE == 1u && ROWS > 3u) { if (COLUMNS > 1u) { x3_0 = pixel(plane, h + 3u, kw + 0u); } if (COLUMNS > 2u) { x3_1 = pixel(plane, h + 3u, kw + 1u); } if (COLUMNS > 3u) { x3_2 = pixel(plane, h + 3u, kw + 2u); } if (COLUMNS > 4u) { x3_3 = pixel(plane, h + 3u, kw + 3u); } }
      if (STRIDE == 1u && ROWS > 4u) { if (COLUMNS > 1u) { x4_0 = pixel(plane, h + 4u, kw + 0u); } if (COLUMNS > 2u) { x4_1 = pixel(plane, h + 4u, kw + 1u); } if (COLUMNS > 3u) { x4_2 = pixel(plane, h + 4u, kw + 2u); } if (COLUMNS > 4u) { x4_3 = pixel(plane, h + 4u, kw + 3u); } }
      for (var ow = 0u; ow < OW; ow++) {
        // Under the gradient at ow lie the pixels x_r_c; with stride 1 all but their last column are there.
        let v = ow * STRIDE + kw;
        if (ROWS > 0u && COLUMNS > 0u && (STRIDE != 1u || COLUMNS == 1u)) { x0_0 = pixel(plane, h + 0u, v + 0u); }
        if (ROWS > 0u && COLUMNS > 1u && (STRIDE != 1u || COLUMNS == 2u)) { x0_1 = pixel(plane, h + 0u, v + 1u); }
        if (ROWS > 0u && COLUMNS > 2u && (STRIDE != 1u || COLUMNS == 3u)) { x0_2 = pixel(plane, h + 0u, v + 2u); }
        if (ROWS > 0u && COLUMNS > 3u && (STRIDE != 1u || COLUMNS == 4u)) { x0_3 = pixel(plane, h + 0u, v + 3u); }
        if (ROWS > 0u && COLUMNS > 4u && (STRIDE != 1u || COLUMNS == 5u)) { x0_4 = pixel(plane, h + 0u, v + 4u); }
        if (ROWS > 1u && COLUMNS > 0u && (STRIDE != 1u || COLUMNS == 1u)) { x1_0 = pixel(plane, h + 1u, v + 0u); }
        if (ROWS > 1u && COLUMNS > 1u && (STRIDE != 1u || COLUMNS == 2u)) { x1_1 = pixel(plane, h + 1u, v + 1u); }
        if (ROWS > 1u && COLUMNS > 2u && (STRIDE != 1u || COLUMNS == 3u)) { x1_2 = pixel(plane, h + 1u, v + 2u); }
        if (ROWS > 1u && COLUMNS > 3u && (STRIDE != 1u || COLUMNS == 4u)) { x1_3 = pixel(plane, h + 1u, v + 3u); }
        if (ROWS > 1u && COLUMNS > 4u && (STRIDE != 1u || COLUMNS == 5u)) { x1_4 = pixel(plane, h + 1u, v + 4u); }
        if (ROWS > 2u && COLUMNS > 0u && (STRIDE != 1u || COLUMNS == 1u)) { x2_0 = pixel(plane, h + 2u, v + 0u); }
        if (ROWS > 2u && COLUMNS > 1u && (STRIDE != 1u || COLUMNS == 2u)) { x2_1 = pixel(plane, h + 2u, v + 1u); }
        if (ROWS > 2u && COLUMNS > 2u && (STRIDE != 1u || COLUMNS == 3u)) { x2_2 = pixel(plane, h + 2u, v + 2u); }
        if (ROWS > 2u && COLUMNS > 3u && (STRIDE != 1u || COLUMNS == 4u)) { x2_3 = pixel(plane, h + 2u, v + 3u); }
        if (ROWS > 2u && COLUMNS > 4u && (STRIDE != 1u || COLUMNS == 5u)) { x2_4 = pixel(plane, h + 2u, v + 4u); }
        if (ROWS > 3u && COLUMNS > 0u && (STRIDE != 1u || COLUMNS == 1u)) { x3_0 = pixel(plane, h + 3u, v + 0u); }
        if (ROWS > 3u && COLUMNS > 1u && (STRIDE != 1u || COLUMNS == 2u)) { x3_1 = pixel(plane, h + 3u, v + 1u); }
        if (ROWS > 3u && COLUMNS > 2u && (STRIDE != 1u || COLUMNS == 3u)) { x3_2 = pixel(plane, h + 3u, v + 2u); }
        if (ROWS > 3u && COLUMNS > 3u && (STRIDE != 1u || COLUMNS == 4u)) { x3_3 = pixel(plane, h + 3u, v + 3u); }
        if (ROWS > 3u && COLUMNS > 4u && (STRIDE != 1u || COLUMNS == 5u)) { x3_4 = pixel(plane, h + 3u, v + 4u); }
        if (ROWS > 4u && COLUMNS > 0u && (STRIDE != 1u || COLUMNS == 1u)) { x4_0 = pixel(plane, h + 4u, v + 0u); }
        if (ROWS > 4u && COLUMNS > 1u && (STRIDE != 1u || COLUMNS == 2u)) { x4_1 = pixel(plane, h + 4u, v + 1u); }
        if (ROWS > 4u && COLUMNS > 2u && (STRIDE != 1u || COLUMNS == 3u)) { x4_2 = pixel(plane, h + 4u, v + 2u); }
        if (ROWS > 4u && COLUMNS > 3u && (STRIDE != 1u || COLUMNS == 4u)) { x4_3 = pixel(plane, h + 4u, v + 3u); }
        if (ROWS > 4u && COLUMNS > 4u && (STRIDE != 1u || COLUMNS == 5u)) { x4_4 = pixel(plane, h + 4u, v + 4u); }
        var g0 = vec4f(0.0); if (PLANAR == 1u) { g0 = gather(n, oh * OW + ow, 4u * quad + 0u); } else { g0 = g[i + min(quad + 0u, last)]; }
        var g1 = vec4f(0.0); if (GROUPS > 1u) { if (PLANAR == 1u) { g1 = gather(n, oh * OW + ow, 4u * quad + 4u); } else { g1 = g[i + min(quad + 1u, last)]; } }
        var g2 = vec4f(0.0); if (GROUPS > 2u) { if (PLANAR == 1u) { g2 = gather(n, oh * OW + ow, 4u * quad + 8u); } else { g2 = g[i + min(quad + 2u, last)]; } }
        var g3 = vec4f(0.0); if (GROUPS > 3u) { if (PLANAR == 1u) { g3 = gather(n, oh * OW + ow, 4u * quad + 12u); } else { g3 = g[i + min(quad + 3u, last)]; } }
        i += quads;
        a0_0_0 += x0_0 * g0; if (GROUPS > 1u) { a0_0_1 += x0_0 * g1; } if (GROUPS > 2u) { a0_0_2 += x0_0 * g2; } if (GROUPS > 3u) { a0_0_3 += x0_0 * g3; }
        if (ROWS > 0u && COLUMNS > 1u) { a0_1_0 += x0_1 * g0; if (GROUPS > 1u) { a0_1_1 += x0_1 * g1; } if (GROUPS > 2u) { a0_1_2 += x0_1 * g2; } if (GROUPS > 3u) { a0_1_3 += x0_1 * g3; } }
        if (ROWS > 0u && COLUMNS > 2u) { a0_2_0 += x0_2 * g0; if (GROUPS > 1u) { a0_2_1 += x0_2 * g1; } if (GROUPS > 2u) { a0_2_2 += x0_2 * g2; } if (GROUPS > 3u) { a0_2_3 += x0_2 * g3; } }
        if (ROWS > 0u && COLUMNS > 3u) { a0_3_0 += x0_3 * g0; if (GROUPS > 1u) { a0_3_1 += x0_3 * g1; } if (GROUPS > 2u) { a0_3_2 += x0_3 * g2; } if (GROUPS > 3u) { a0_3_3 += x0_3 * g3; } }
        if (ROWS > 0u && COLUMNS > 4u) { a0_4_0 += x0_4 * g0; if (GROUPS > 1u) { a0_4_1 += x0_4 * g1; } if (GROUPS > 2u) { a0_4_2 += x0_4 * g2; } if (GROUPS > 3u) { a0_4_3 += x0_4 * g3; } }
        if (ROWS > 1u && COLUMNS > 0u) { a1_0_0 += x1_0 * g0; if (GROUPS > 1u) { a1_0_1 += x1_0 * g1; } if (GROUPS > 2u) { a1_0_2 += x1_0 * g2; } if (GROUPS > 3u) { a1_0_3 += x1_0 * g3; } }
        if (ROWS > 1u && COLUMNS > 1u) { a1_1_0 += x1_1 * g0; if (GROUPS > 1u) { a1_1_1 += x1_1 * g1; } if (GROUPS > 2u) { a1_1_2 += x1_1 * g2; } if (GROUPS > 3u) { a1_1_3 += x1_1 * g3; } }
        if (ROWS > 1u && COLUMNS > 2u) { a1_2_0 += x1_2 * g0; if (GROUPS > 1u) { a1_2_1 += x1_2 * g1; } if (GROUPS > 2u) { a1_2_2 += x1_2 * g2; } if (GROUPS > 3u) { a1_2_3 += x1_2 * g3; } }
        if (ROWS > 1u && COLUMNS > 3u) { a1_3_0 += x1_3 * g0; if (GROUPS > 1u) { a1_3_1 += x1_3 * g1; } if (GROUPS > 2u) { a1_3_2 += x1_3 * g2; } if (GROUPS > 3u) { a1_3_3 += x1_3 * g3; } }
        if (ROWS > 1u && COLUMNS > 4u) { a1_4_0 += x1_4 * g0; if (GROUPS > 1u) { a1_4_1 += x1_4 * g1; } if (GROUPS > 2u) { a1_4_2 += x1_4 * g2; } if (GROUPS > 3u) { a1_4_3 += x1_4 * g3; } }
        if (ROWS > 2u && COLUMNS > 0u) { a2_0_0 += x2_0 * g0; if (GROUPS > 1u) { a2_0_1 += x2_0 * g1; } if (GROUPS > 2u) { a2_0_2 += x2_0 * g2; } if (GROUPS > 3u) { a2_0_3 += x2_0 * g3; } }
        if (ROWS > 2u && COLUMNS > 1u) { a2_1_0 += x2_1 * g0; if (GROUPS > 1u) { a2_1_1 += x2_1 * g1; } if (GROUPS > 2u) { a2_1_2 += x2_1 * g2; } if (GROUPS > 3u) { a2_1_3 += x2_1 * g3; } }
        if (ROWS > 2u && COLUMNS > 2u) { a2_2_0 += x2_2 * g0; if (GROUPS > 1u) { a2_2_1 += x2_2 * g1; } if (GROUPS > 2u) { a2_2_2 += x2_2 * g2; } if (GROUPS > 3u) { a2_2_3 += x2_2 * g3; } }
        if (ROWS > 2u && COLUMNS > 3u) { a2_3_0 += x2_3 * g0; if (GROUPS > 1u) { a2_3_1 += x2_3 * g1; } if (GROUPS > 2u) { a2_3_2 += x2_3 * g2; } if (GROUPS > 3u) { a2_3_3 += x2_3 * g3; } }
        if (ROWS > 2u && COLUMNS > 4u) { a2_4_0 += x2_4 * g0; if (GROUPS > 1u) { a2_4_1 += x2_4 * g1; } if (GROUPS > 2u) { a2_4_2 += x2_4 * g2; } if (GROUPS > 3u) { a2_4_3 += x2_4 * g3; } }
        if (ROWS > 3u && COLUMNS > 0u) { a3_0_0 += x3_0 * g0; if (GROUPS > 1u) { a3_0_1 += x3_0 * g1; } if (GROUPS > 2u) { a3_0_2 += x3_0 * g2; } if (GROUPS > 3u) { a3_0_3 += x3_0 * g3; } }
        if (ROWS > 3u && COLUMNS > 1u) { a3_1_0 += x3_1 * g0; if (GROUPS > 1u) { a3_1_1 += x3_1 * g1; } if (GROUPS > 2u) { a3_1_2 += x3_1 * g2; } if (GROUPS > 3u) { a3_1_3 += x3_1 * g3; } }
        if (ROWS > 3u && COLUMNS > 2u) { a3_2_0 += x3_2 * g0; if (GROUPS > 1u) { a3_2_1 += x3_2 * g1; } if (GROUPS > 2u) { a3_2_2 += x3_2 * g2; } if (GROUPS > 3u) { a3_2_3 += x3_2 * g3; } }
        if (ROWS > 3u && COLUMNS > 3u) { a3_3_0 += x3_3 * g0; if (GROUPS > 1u) { a3_3_1 += x3_3 * g1; } if (GROUPS > 2u) { a3_3_2 += x3_3 * g2; } if (GROUPS > 3u) { a3_3_3 += x3_3 * g3; } }
        if (ROWS > 3u && COLUMNS > 4u) { a3_4_0 += x3_4 * g0; if (GROUPS > 1u) { a3_4_1 += x3_4 * g1; } if (GROUPS > 2u) { a3_4_2 += x3_4 * g2; } if (GROUPS > 3u) { a3_4_3 += x3_4 * g3; } }
        if (ROWS > 4u && COLUMNS > 0u) { a4_0_0 += x4_0 * g0; if (GROUPS > 1u) { a4_0_1 += x4_0 * g1; } if (GROUPS > 2u) { a4_0_2 += x4_0 * g2; } if (GROUPS > 3u) { a4_0_3 += x4_0 * g3; } }
        if (ROWS > 4u && COLUMNS > 1u) { a4_1_0 += x4_1 * g0; if (GROUPS > 1u) { a4_1_1 += x4_1 * g1; } if (GROUPS > 2u) { a4_1_2 += x4_1 * g2; } if (GROUPS > 3u) { a4_1_3 += x4_1 * g3; } }
        if (ROWS > 4u && COLUMNS > 2u) { a4_2_0 += x4_2 * g0; if (GROUPS > 1u) { a4_2_1 += x4_2 * g1; } if (GROUPS > 2u) { a4_2_2 += x4_2 * g2; } if (GROUPS > 3u) { a4_2_3 += x4_2 * g3; } }
        if (ROWS > 4u && COLUMNS > 3u) { a4_3_0 += x4_3 * g0; if (GROUPS > 1u) { a4_3_1 += x4_3 * g1; } if (GROUPS > 2u) { a4_3_2 += x4_3 * g2; } if (GROUPS > 3u) { a4_3_3 += x4_3 * g3; } }
        if (ROWS > 4u && COLUMNS > 4u) { a4_4_0 += x4_4 * g0; if (GROUPS > 1u) { a4_4_1 += x4_4 * g1; } if (GROUPS > 2u) { a4_4_2 += x4_4 * g2; } if (GROUPS > 3u) { a4_4_3 += x4_4 * g3; } }
        if (STRIDE == 1u) {
          x0_0 = x0_1; x0_1 = x0_2; x0_2 = x0_3; x0_3 = x0_4;
          x1_0 = x1_1; x1_1 = x1_2; x1_2 = x1_3; x1_3 = x1_4;
          x2_0 = x2_1; x2_1 = x2_2; x2_2 = x2_3; x2_3 = x2_4;
          x3_0 = x3_1; x3_1 = x3_2; x3_2 = x3_3; x3_3 = x3_4;
          x4_0 = x4_1; x4_1 = x4_2; x4_2 = x4_3; x4_3 = x4_4;
        }
      }
    }
  }
  let co = 4u * quad;
  store(s, co + 0u, ci, kh + 0u, kw + 0u, a0_0_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 0u, kw + 0u, a0_0_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 0u, kw + 0u, a0_0_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 0u, kw + 0u, a0_0_3); }
  if (ROWS > 0u && COLUMNS > 1u) { store(s, co + 0u, ci, kh + 0u, kw + 1u, a0_1_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 0u, kw + 1u, a0_1_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 0u, kw + 1u, a0_1_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 0u, kw + 1u, a0_1_3); } }
  if (ROWS > 0u && COLUMNS > 2u) { store(s, co + 0u, ci, kh + 0u, kw + 2u, a0_2_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 0u, kw + 2u, a0_2_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 0u, kw + 2u, a0_2_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 0u, kw + 2u, a0_2_3); } }
  if (ROWS > 0u && COLUMNS > 3u) { store(s, co + 0u, ci, kh + 0u, kw + 3u, a0_3_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 0u, kw + 3u, a0_3_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 0u, kw + 3u, a0_3_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 0u, kw + 3u, a0_3_3); } }
  if (ROWS > 0u && COLUMNS > 4u) { store(s, co + 0u, ci, kh + 0u, kw + 4u, a0_4_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 0u, kw + 4u, a0_4_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 0u, kw + 4u, a0_4_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 0u, kw + 4u, a0_4_3); } }
  if (ROWS > 1u && COLUMNS > 0u) { store(s, co + 0u, ci, kh + 1u, kw + 0u, a1_0_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 1u, kw + 0u, a1_0_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 1u, kw + 0u, a1_0_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 1u, kw + 0u, a1_0_3); } }
  if (ROWS > 1u && COLUMNS > 1u) { store(s, co + 0u, ci, kh + 1u, kw + 1u, a1_1_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 1u, kw + 1u, a1_1_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 1u, kw + 1u, a1_1_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 1u, kw + 1u, a1_1_3); } }
  if (ROWS > 1u && COLUMNS > 2u) { store(s, co + 0u, ci, kh + 1u, kw + 2u, a1_2_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 1u, kw + 2u, a1_2_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 1u, kw + 2u, a1_2_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 1u, kw + 2u, a1_2_3); } }
  if (ROWS > 1u && COLUMNS > 3u) { store(s, co + 0u, ci, kh + 1u, kw + 3u, a1_3_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 1u, kw + 3u, a1_3_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 1u, kw + 3u, a1_3_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 1u, kw + 3u, a1_3_3); } }
  if (ROWS > 1u && COLUMNS > 4u) { store(s, co + 0u, ci, kh + 1u, kw + 4u, a1_4_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 1u, kw + 4u, a1_4_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 1u, kw + 4u, a1_4_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 1u, kw + 4u, a1_4_3); } }
  if (ROWS > 2u && COLUMNS > 0u) { store(s, co + 0u, ci, kh + 2u, kw + 0u, a2_0_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 2u, kw + 0u, a2_0_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 2u, kw + 0u, a2_0_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 2u, kw + 0u, a2_0_3); } }
  if (ROWS > 2u && COLUMNS > 1u) { store(s, co + 0u, ci, kh + 2u, kw + 1u, a2_1_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 2u, kw + 1u, a2_1_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 2u, kw + 1u, a2_1_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 2u, kw + 1u, a2_1_3); } }
  if (ROWS > 2u && COLUMNS > 2u) { store(s, co + 0u, ci, kh + 2u, kw + 2u, a2_2_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 2u, kw + 2u, a2_2_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 2u, kw + 2u, a2_2_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 2u, kw + 2u, a2_2_3); } }
  if (ROWS > 2u && COLUMNS > 3u) { store(s, co + 0u, ci, kh + 2u, kw + 3u, a2_3_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 2u, kw + 3u, a2_3_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 2u, kw + 3u, a2_3_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 2u, kw + 3u, a2_3_3); } }
  if (ROWS > 2u && COLUMNS > 4u) { store(s, co + 0u, ci, kh + 2u, kw + 4u, a2_4_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 2u, kw + 4u, a2_4_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 2u, kw + 4u, a2_4_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 2u, kw + 4u, a2_4_3); } }
  if (ROWS > 3u && COLUMNS > 0u) { store(s, co + 0u, ci, kh + 3u, kw + 0u, a3_0_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 3u, kw + 0u, a3_0_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 3u, kw + 0u, a3_0_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 3u, kw + 0u, a3_0_3); } }
  if (ROWS > 3u && COLUMNS > 1u) { store(s, co + 0u, ci, kh + 3u, kw + 1u, a3_1_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 3u, kw + 1u, a3_1_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 3u, kw + 1u, a3_1_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 3u, kw + 1u, a3_1_3); } }
  if (ROWS > 3u && COLUMNS > 2u) { store(s, co + 0u, ci, kh + 3u, kw + 2u, a3_2_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 3u, kw + 2u, a3_2_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 3u, kw + 2u, a3_2_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 3u, kw + 2u, a3_2_3); } }
  if (ROWS > 3u && COLUMNS > 3u) { store(s, co + 0u, ci, kh + 3u, kw + 3u, a3_3_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 3u, kw + 3u, a3_3_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 3u, kw + 3u, a3_3_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 3u, kw + 3u, a3_3_3); } }
  if (ROWS > 3u && COLUMNS > 4u) { store(s, co + 0u, ci, kh + 3u, kw + 4u, a3_4_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 3u, kw + 4u, a3_4_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 3u, kw + 4u, a3_4_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 3u, kw + 4u, a3_4_3); } }
  if (ROWS > 4u && COLUMNS > 0u) { store(s, co + 0u, ci, kh + 4u, kw + 0u, a4_0_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 4u, kw + 0u, a4_0_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 4u, kw + 0u, a4_0_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 4u, kw + 0u, a4_0_3); } }
  if (ROWS > 4u && COLUMNS > 1u) { store(s, co + 0u, ci, kh + 4u, kw + 1u, a4_1_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 4u, kw + 1u, a4_1_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 4u, kw + 1u, a4_1_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 4u, kw + 1u, a4_1_3); } }
  if (ROWS > 4u && COLUMNS > 2u) { store(s, co + 0u, ci, kh + 4u, kw + 2u, a4_2_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 4u, kw + 2u, a4_2_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 4u, kw + 2u, a4_2_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 4u, kw + 2u, a4_2_3); } }
  if (ROWS > 4u && COLUMNS > 3u) { store(s, co + 0u, ci, kh + 4u, kw + 3u, a4_3_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 4u, kw + 3u, a4_3_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 4u, kw + 3u, a4_3_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 4u, kw + 3u, a4_3_3); } }
  if (ROWS > 4u && COLUMNS > 4u) { store(s, co + 0u, ci, kh + 4u, kw + 4u, a4_4_0); if (GROUPS > 1u) { store(s, co + 4u, ci, kh + 4u, kw + 4u, a4_4_1); } if (GROUPS > 2u) { store(s, co + 8u, ci, kh + 4u, kw + 4u, a4_4_2); } if (GROUPS > 3u) { store(s, co + 12u, ci, kh + 4u, kw + 4u, a4_4_3); } }
}
