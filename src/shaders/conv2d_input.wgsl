// x[b, ci, h, v] = sum over co, kh, kw of g[b, co, oh, ow] w[co, ci, kh, kw] where oh STRIDE + kh - PAD = h
// B images, CI CO channels, H W in, OH OW out, KH KW kernel
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
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if (t >= B * CI * H * W) { return; }
  let v = t % W; let h = (t / W) % H; let ci = (t / (W * H)) % CI; let n = t / (W * H * CI);
  var s = 0.0;
  for (var co = 0u; co < CO; co++) {
    for (var kh = 0u; kh < KH; kh++) {
      for (var kw = 0u; kw < KW; kw++) {
        let a = i32(h + PAD) - i32(kh);
        let c = i32(v + PAD) - i32(kw);
        if (a >= 0 && c >= 0 && u32(a) % STRIDE == 0u && u32(c) % STRIDE == 0u && u32(a) / STRIDE < OH && u32(c) / STRIDE < OW) {
          s += g[((n * CO + co) * OH + u32(a) / STRIDE) * OW + u32(c) / STRIDE] * w[((co * CI + ci) * KH + kh) * KW + kw];
        }
      }
    }
  }
  x[t] = s;
}
