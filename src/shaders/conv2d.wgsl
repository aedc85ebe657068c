// y[b, co, oh, ow] = act(sum x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] w[co, ci, kh, kw] + bias[co])
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; a thread makes 8 pixels of a row in CHANNELS channels
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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
override CHANNELS: u32 = 8u; // 1, 2, 4 or 8 output channels a thread
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

fn store(i: u32, ow: u32, co: u32, value: vec4f) {
  var v = value;
  if (HAS_BIAS == 1u) {
    v += bias[co];
  }
  if (ACTIVATION == ACTIVATION_relu) {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  if (ow < OW) { y[i + ow] = v.x; }
  if (ow + 1u < OW) { y[i + ow + 1u] = v.y; }
  if (ow + 2u < OW) { y[i + ow + 2u] = v.z; }
  if (ow + 3u < OW) { y[i + ow + 3u] = v.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let strips = (OW + 7u) / 8u;
  let blocks = (CO + CHANNELS - 1u) / CHANNELS;
  if (t >= B * blocks * OH * strips) {
    return;
  }
  let ow = t % strips * 8u;
  let oh = t / strips % OH;
  let co = t / (strips * OH) % blocks * CHANNELS;
  let n = t / (strips * OH * blocks);
  let filters = CI * KH * KW;
  let f0 = min(co + 0u, CO - 1u) * filters; var y0 = vec4f(0.0); var z0 = vec4f(0.0);
  let f1 = min(co + 1u, CO - 1u) * filters; var y1 = vec4f(0.0); var z1 = vec4f(0.0);
  let f2 = min(co + 2u, CO - 1u) * filters; var y2 = vec4f(0.0); var z2 = vec4f(0.0);
  let f3 = min(co + 3u, CO - 1u) * filters; var y3 = vec4f(0.0); var z3 = vec4f(0.0);
  let f4 = min(co + 4u, CO - 1u) * filters; var y4 = vec4f(0.0); var z4 = vec4f(0.0);
  let f5 = min(co + 5u, CO - 1u) * filters; var y5 = vec4f(0.0); var z5 = vec4f(0.0);
  let f6 = min(co + 6u, CO - 1u) * filters; var y6 = vec4f(0.0); var z6 = vec4f(0.0);
  let f7 = min(co + 7u, CO - 1u) * filters; var y7 = vec4f(0.0); var z7 = vec4f(0.0);
  for (var ci = 0u; ci < CI; ci++) {
    for (var kh = 0u; kh < KH; kh++) {
      let h = oh * STRIDE + kh;
      if (h < PAD || h >= H + PAD) {
        continue;
      }
      let row = ((n * CI + ci) * H + h - PAD) * W;
      let k = (ci * KH + kh) * KW;
      let v = ow * STRIDE;
      var p = vec4f(pixel(row, v), pixel(row, v + STRIDE), pixel(row, v + 2u * STRIDE), pixel(row, v + 3u * STRIDE));
      var q = vec4f(pixel(row, v + 4u * STRIDE), pixel(row, v + 5u * STRIDE), pixel(row, v + 6u * STRIDE), pixel(row, v + 7u * STRIDE));
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
        // The window moves on by one column: with stride 1 all but one of its pixels are there.
        if (STRIDE == 1u) {
          p = vec4f(p.yzw, q.x);
          q = vec4f(q.yzw, pixel(row, v + 8u + kw));
        } else {
          let c = v + kw + 1u;
          p = vec4f(pixel(row, c), pixel(row, c + STRIDE), pixel(row, c + 2u * STRIDE), pixel(row, c + 3u * STRIDE));
          q = vec4f(pixel(row, c + 4u * STRIDE), pixel(row, c + 5u * STRIDE), pixel(row, c + 6u * STRIDE), pixel(row, c + 7u * STRIDE));
        }
      }
    }
  }
  if (CHANNELS > 0u && co + 0u < CO) { let i = ((n * CO + co + 0u) * OH + oh) * OW; store(i, ow, co + 0u, y0); store(i, ow + 4u, co + 0u, z0); }
  if (CHANNELS > 1u && co + 1u < CO) { let i = ((n * CO + co + 1u) * OH + oh) * OW; store(i, ow, co + 1u, y1); store(i, ow + 4u, co + 1u, z1); }
  if (CHANNELS > 2u && co + 2u < CO) { let i = ((n * CO + co + 2u) * OH + oh) * OW; store(i, ow, co + 2u, y2); store(i, ow + 4u, co + 2u, z2); }
  if (CHANNELS > 3u && co + 3u < CO) { let i = ((n * CO + co + 3u) * OH + oh) * OW; store(i, ow, co + 3u, y3); store(i, ow + 4u, co + 3u, z3); }
  if (CHANNELS > 4u && co + 4u < CO) { let i = ((n * CO + co + 4u) * OH + oh) * OW; store(i, ow, co + 4u, y4); store(i, ow + 4u, co + 4u, z4); }
  if (CHANNELS > 5u && co + 5u < CO) { let i = ((n * CO + co + 5u) * OH + oh) * OW; store(i, ow, co + 5u, y5); store(i, ow + 4u, co + 5u, z5); }
  if (CHANNELS > 6u && co + 6u < CO) { let i = ((n * CO + co + 6u) * OH + oh) * OW; store(i, ow, co + 6u, y6); store(i, ow + 4u, co + 6u, z6); }
  if (CHANNELS > 7u && co + 7u < CO) { let i = ((n * CO + co + 7u) * OH + oh) * OW; store(i, ow, co + 7u, y7); store(i, ow + 4u, co + 7u, z7); }
}
