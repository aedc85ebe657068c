// y[b, co, oh, ow] = act(sum x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] w[co, ci, kh, kw] + bias[co])
// B images, CI CO channels, H W in, OH OW out, KH KW kernel
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
override HAS_BIAS: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if (t >= B * CO * OH * OW) { return; }
  let ow = t % OW; let oh = (t / OW) % OH; let co = (t / (OW * OH)) % CO; let n = t / (OW * OH * CO);
  var s = 0.0;
  for (var ci = 0u; ci < CI; ci++) {
    for (var kh = 0u; kh < KH; kh++) {
      for (var kw = 0u; kw < KW; kw++) {
        let h = i32(oh * STRIDE + kh) - i32(PAD);
        let v = i32(ow * STRIDE + kw) - i32(PAD);
        if (h >= 0 && h < i32(H) && v >= 0 && v < i32(W)) {
          s += x[((n * CI + ci) * H + u32(h)) * W + u32(v)] * w[((co * CI + ci) * KH + kh) * KW + kw];
        }
      }
    }
  }
  if (HAS_BIAS == 1u) { s += bias[co]; }
  y[t] = select(s, select(s, 0.0, s <= 0.0), ACTIVATION == ACTIVATION_relu);
}
