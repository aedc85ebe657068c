// w[s, co, ci, kh, kw] = sum over the images of split s of x[b, ci, oh STRIDE + kh - PAD, ...] g[b, co, oh, ow]
// B images, CI CO channels, H W in, OH OW out, KH KW kernel
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
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
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if (t >= SPLIT * CO * CI * KH * KW) { return; }
  let kw = t % KW; let kh = (t / KW) % KH; let ci = (t / (KW * KH)) % CI; let co = (t / (KW * KH * CI)) % CO;
  let split = t / (KW * KH * CI * CO);
  let chunk = (B + SPLIT - 1u) / SPLIT;
  var s = 0.0;
  for (var n = split * chunk; n < min(B, (split + 1u) * chunk); n++) {
    for (var oh = 0u; oh < OH; oh++) {
      let h = i32(oh * STRIDE + kh) - i32(PAD);
      if (h < 0 || h >= i32(H)) { continue; }
      for (var ow = 0u; ow < OW; ow++) {
        let v = i32(ow * STRIDE + kw) - i32(PAD);
        if (v >= 0 && v < i32(W)) {
          s += x[((n * CI + ci) * H + u32(h)) * W + u32(v)] * g[((n * CO + co) * OH + oh) * OW + ow];
        }
      }
    }
  }
  w[t] = s;
}
