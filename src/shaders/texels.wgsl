// y[b, c / 4, h, w] = (x[b, c, h - PAD, w - PAD], x[b, c + 1, ...], x[b, c + 2, ...], x[b, c + 3, ...]), 0 outside
// B images, C channels, H W pixels in, OH OW out: what a texture is made of, a texel for four channels of a pixel
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

override B: u32;
override C: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override PAD: u32 = 0u;

fn pixel(n: u32, c: u32, h: u32, w: u32) -> f32 {
  if ((c >= C) | (h < PAD) | (h >= H + PAD) | (w < PAD) | (w >= W + PAD)) {
    return 0.0;
  }
  return x[((n * C + c) * H + h - PAD) * W + w - PAD];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let i = (group_id.x + group_id.y * groups.x) * 64u + local;
  let quads = (C + 3u) / 4u;
  if (i >= B * quads * OH * OW) {
    return;
  }
  let w = i % OW;
  let h = i / OW % OH;
  let c = i / (OW * OH) % quads * 4u;
  let n = i / (OW * OH * quads);
  y[i] = vec4f(pixel(n, c, h, w), pixel(n, c + 1u, h, w), pixel(n, c + 2u, h, w), pixel(n, c + 3u, h, w));
}
