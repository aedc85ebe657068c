// y[b, co, oh, ow] = act(sum x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] w[co, ci, kh, kw] + bias[co])
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; a thread makes PIXELS pixels of a row in CHANNELS channels
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
override CHANNELS: u32 = 8u; // output channels a thread makes, 1 to 8
override PIXELS: u32 = 8u; // pixels of a row it makes: 4, 8 or 12
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

// Four pixels a stride apart.
fn four(row: u32, v: u32) -> vec4f {
  return vec4f(pixel(row, v), pixel(row, v + STRIDE), pixel(row, v + 2u * STRIDE), pixel(row, v + 3u * STRIDE));
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

fn finish(n: u32, co: u32, oh: u32, ow: u32, y: vec4f, z: vec4f, u: vec4f) {
  if (co >= CO) {
    return;
  }
  let i = ((n * CO + co) * OH + oh) * OW;
  store(i, ow, co, y);
  if (PIXELS > 4u) {
    store(i, ow + 4u, co, z);
  }
  if (PIXELS > 8u) {
    store(i, ow + 8u, co, u);
  }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let strips = (OW + PIXELS - 1u) / PIXELS;
  let blocks = (CO + CHANNELS - 1u) / CHANNELS;
  if (t >= B * blocks * OH * strips) {
    return;
  }
  let ow = t % strips * PIXELS;
  let oh = t / strips % OH;
  let co = t / (strips * OH) % blocks * CHANNELS;
  let n = t / (strips * OH * blocks);
  let filters = CI * KH * KW;
  let f0 = min(co, CO - 1u) * filters; var y0 = vec4f(0.0); var z0 = vec4f(0.0); var u0 = vec4f(0.0);
  let f1 = min(co + 1u, CO - 1u) * filters; var y1 = vec4f(0.0); var z1 = vec4f(0.0); var u1 = vec4f(0.0);
  let f2 = min(co + 2u, CO - 1u) * filters; var y2 = vec4f(0.0); var z2 = vec4f(0.0); var u2 = vec4f(0.0);
  let f3 = min(co + 3u, CO - 1u) * filters; var y3 = vec4f(0.0); var z3 = vec4f(0.0); var u3 = vec4f(0.0);
  let f4 = min(co + 4u, CO - 1u) * filters; var y4 = vec4f(0.0); var z4 = vec4f(0.0); var u4 = vec4f(0.0);
  let f5 = min(co + 5u, CO - 1u) * filters; var y5 = vec4f(0.0); var z5 = vec4f(0.0); var u5 = vec4f(0.0);
  let f6 = min(co + 6u, CO - 1u) * filters; var y6 = vec4f(0.0); var z6 = vec4f(0.0); var u6 = vec4f(0.0);
  let f7 = min(co + 7u, CO - 1u) * filters; var y7 = vec4f(0.0); var z7 = vec4f(0.0); var u7 = vec4f(0.0);
  for (var ci = 0u; ci < CI; ci++) {
    for (var kh = 0u; kh < KH; kh++) {
      let h = oh * STRIDE + kh;
      if (h < PAD || h >= H + PAD) {
        continue;
      }
      let row = ((n * CI + ci) * H + h - PAD) * W;
      let k = (ci * KH + kh) * KW;
      let v = ow * STRIDE;
      var p = four(row, v);
      var q = vec4f(0.0);
      if (PIXELS > 4u) {
        q = four(row, v + 4u * STRIDE);
      }
      var r = vec4f(0.0);
      if (PIXELS > 8u) {
        r = four(row, v + 8u * STRIDE);
      }
      for (var kw = 0u; kw < KW; kw++) {
        let w0 = w[f0 + k + kw]; y0 += w0 * p; if (PIXELS > 4u) { z0 += w0 * q; } if (PIXELS > 8u) { u0 += w0 * r; }
        if (CHANNELS > 1u) { let w1 = w[f1 + k + kw]; y1 += w1 * p; if (PIXELS > 4u) { z1 += w1 * q; } if (PIXELS > 8u) { u1 += w1 * r; } }
        if (CHANNELS > 2u) { let w2 = w[f2 + k + kw]; y2 += w2 * p; if (PIXELS > 4u) { z2 += w2 * q; } if (PIXELS > 8u) { u2 += w2 * r; } }
        if (CHANNELS > 3u) { let w3 = w[f3 + k + kw]; y3 += w3 * p; if (PIXELS > 4u) { z3 += w3 * q; } if (PIXELS > 8u) { u3 += w3 * r; } }
        if (CHANNELS > 4u) { let w4 = w[f4 + k + kw]; y4 += w4 * p; if (PIXELS > 4u) { z4 += w4 * q; } if (PIXELS > 8u) { u4 += w4 * r; } }
        if (CHANNELS > 5u) { let w5 = w[f5 + k + kw]; y5 += w5 * p; if (PIXELS > 4u) { z5 += w5 * q; } if (PIXELS > 8u) { u5 += w5 * r; } }
        if (CHANNELS > 6u) { let w6 = w[f6 + k + kw]; y6 += w6 * p; if (PIXELS > 4u) { z6 += w6 * q; } if (PIXELS > 8u) { u6 += w6 * r; } }
        if (CHANNELS > 7u) { let w7 = w[f7 + k + kw]; y7 += w7 * p; if (PIXELS > 4u) { z7 += w7 * q; } if (PIXELS > 8u) { u7 += w7 * r; } }
        // The window moves on by one column: with stride 1 all but one of its pixels are there.
        let c = v + kw + 1u;
        if (STRIDE == 1u) {
          let next = pixel(row, v + PIXELS + kw);
          if (PIXELS == 4u) {
            p = vec4f(p.yzw, next);
          } else if (PIXELS == 8u) {
            p = vec4f(p.yzw, q.x);
            q = vec4f(q.yzw, next);
          } else {
            p = vec4f(p.yzw, q.x);
            q = vec4f(q.yzw, r.x);
            r = vec4f(r.yzw, next);
          }
        } else {
          p = four(row, c);
          if (PIXELS > 4u) {
            q = four(row, c + 4u * STRIDE);
          }
          if (PIXELS > 8u) {
            r = four(row, c + 8u * STRIDE);
          }
        }
      }
    }
  }
  finish(n, co, oh, ow, y0, z0, u0);
  if (CHANNELS > 1u) { finish(n, co + 1u, oh, ow, y1, z1, u1); }
  if (CHANNELS > 2u) { finish(n, co + 2u, oh, ow, y2, z2, u2); }
  if (CHANNELS > 3u) { finish(n, co + 3u, oh, ow, y3, z3, u3); }
  if (CHANNELS > 4u) { finish(n, co + 4u, oh, ow, y4, z4, u4); }
  if (CHANNELS > 5u) { finish(n, co + 5u, oh, ow, y5, z5, u5); }
  if (CHANNELS > 6u) { finish(n, co + 6u, oh, ow, y6, z6, u6); }
  if (CHANNELS > 7u) { finish(n, co + 7u, oh, ow, y7, z7, u7); }
}
