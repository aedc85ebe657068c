// x[b, ci, h, v] = sum of g[b, co, oh, ow] w[co, ci, kh, kw] where oh STRIDE + kh - PAD = h, ow STRIDE + kw - PAD = v
// B images, CI CO channels, H W image, OH OW gradient, KH KW kernel; a thread makes 8 pixels of a row in CHANNELS channels
@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

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
override CHANNELS: u32 = 8u; // 1, 2, 4 or 8 input channels a thread

// The gradient that column c = v + PAD - kw of the padded image takes part in: at ow = c / STRIDE, if any.
// A column left of the padding wraps around to a huge one and is out as well.
fn gradient(row: u32, c: u32) -> f32 {
  if (STRIDE == 1u) {
    return select(0.0, g[row + min(c, OW - 1u)], c < OW);
  }
  let ow = c / STRIDE;
  return select(0.0, g[row + min(ow, OW - 1u)], ow < OW && c % STRIDE == 0u);
}

fn store(i: u32, v: u32, value: vec4f) {
  if (v < W) { x[i + v] = value.x; }
  if (v + 1u < W) { x[i + v + 1u] = value.y; }
  if (v + 2u < W) { x[i + v + 2u] = value.z; }
  if (v + 3u < W) { x[i + v + 3u] = value.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let strips = (W + 7u) / 8u;
  let blocks = (CI + CHANNELS - 1u) / CHANNELS;
  if (t >= B * blocks * H * strips) {
    return;
  }
  let v = t % strips * 8u;
  let h = t / strips % H;
  let ci = t / (strips * H) % blocks * CHANNELS;
  let n = t / (strips * H * blocks);
  let f0 = min(ci + 0u, CI - 1u) * KH * KW; var y0 = vec4f(0.0); var z0 = vec4f(0.0);
  let f1 = min(ci + 1u, CI - 1u) * KH * KW; var y1 = vec4f(0.0); var z1 = vec4f(0.0);
  let f2 = min(ci + 2u, CI - 1u) * KH * KW; var y2 = vec4f(0.0); var z2 = vec4f(0.0);
  let f3 = min(ci + 3u, CI - 1u) * KH * KW; var y3 = vec4f(0.0); var z3 = vec4f(0.0);
  let f4 = min(ci + 4u, CI - 1u) * KH * KW; var y4 = vec4f(0.0); var z4 = vec4f(0.0);
  let f5 = min(ci + 5u, CI - 1u) * KH * KW; var y5 = vec4f(0.0); var z5 = vec4f(0.0);
  let f6 = min(ci + 6u, CI - 1u) * KH * KW; var y6 = vec4f(0.0); var z6 = vec4f(0.0);
  let f7 = min(ci + 7u, CI - 1u) * KH * KW; var y7 = vec4f(0.0); var z7 = vec4f(0.0);
  for (var co = 0u; co < CO; co++) {
    for (var kh = 0u; kh < KH; kh++) {
      let r = h + PAD - kh;
      let oh = r / STRIDE;
      if (h + PAD < kh || oh >= OH || r % STRIDE != 0u) {
        continue;
      }
      let row = ((n * CO + co) * OH + oh) * OW;
      let k = co * CI * KH * KW + kh * KW;
      let c = v + PAD;
      var p = vec4f(gradient(row, c), gradient(row, c + 1u), gradient(row, c + 2u), gradient(row, c + 3u));
      var q = vec4f(gradient(row, c + 4u), gradient(row, c + 5u), gradient(row, c + 6u), gradient(row, c + 7u));
      for (var kw = 0u; kw < KW; kw++) {
        let w0 = w[f0 + k + kw]; y0 += w0 * p; z0 += w0 * q;
        if (CHANNELS > 1u) {
          let w1 = w[f1 + k + kw]; y1 += w1 * p; z1 += w1 * q;
        }
        if (CHANNELS > 2u) {
          let w2 = w[f2 + k + kw]; y2 += w2 * p; z2 += w2 * q;
          let w3 = w[f3 + k + kw]; y3 += w3 * p; z3 += w3 * q;
        }
        if (CHANNELS > 4u) {
          let w4 = w[f4 + k + kw]; y4 += w4 * p; z4 += w4 * q;
          let w5 = w[f5 + k + kw]; y5 += w5 * p; z5 += w5 * q;
          let w6 = w[f6 + k + kw]; y6 += w6 * p; z6 += w6 * q;
          let w7 = w[f7 + k + kw]; y7 += w7 * p; z7 += w7 * q;
        }
        // The window moves back by one column: all but one of its values are there.
        q = vec4f(p.w, q.xyz);
        p = vec4f(gradient(row, c - kw - 1u), p.xyz);
      }
    }
  }
  if (CHANNELS > 0u && ci + 0u < CI) { let i = ((n * CI + ci + 0u) * H + h) * W; store(i, v, y0); store(i, v + 4u, z0); }
  if (CHANNELS > 1u && ci + 1u < CI) { let i = ((n * CI + ci + 1u) * H + h) * W; store(i, v, y1); store(i, v + 4u, z1); }
  if (CHANNELS > 2u && ci + 2u < CI) { let i = ((n * CI + ci + 2u) * H + h) * W; store(i, v, y2); store(i, v + 4u, z2); }
  if (CHANNELS > 3u && ci + 3u < CI) { let i = ((n * CI + ci + 3u) * H + h) * W; store(i, v, y3); store(i, v + 4u, z3); }
  if (CHANNELS > 4u && ci + 4u < CI) { let i = ((n * CI + ci + 4u) * H + h) * W; store(i, v, y4); store(i, v + 4u, z4); }
  if (CHANNELS > 5u && ci + 5u < CI) { let i = ((n * CI + ci + 5u) * H + h) * W; store(i, v, y5); store(i, v + 4u, z5); }
  if (CHANNELS > 6u && ci + 6u < CI) { let i = ((n * CI + ci + 6u) * H + h) * W; store(i, v, y6); store(i, v + 4u, z6); }
  if (CHANNELS > 7u && ci + 7u < CI) { let i = ((n * CI + ci + 7u) * H + h) * W; store(i, v, y7); store(i, v + 4u, z7); }
}
