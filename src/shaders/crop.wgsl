// y[b, c, i, j] = x[b, c, i + dy - PAD, j' + dx - PAD], 0 outside, with dy = floor(u[b, 0] (2 PAD + 1)),
// dx = floor(u[b, 1] (2 PAD + 1)), and j' = W - 1 - j where u[b, 2] < 1/2, else j
// B images of C channels, H x W pixels; u uniform in [0, 1); one thread a pixel.
override B: u32;
override C: u32;
override H: u32;
override W: u32;
override PAD: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= B * C * H * W { return; }
  let b = t / (C * H * W);
  let steps = f32(2u * PAD + 1u);
  let j = select(t % W, W - 1u - t % W, u[3u * b + 2u] < 0.5);
  let row = t / W % H + u32(u[3u * b] * steps);
  let column = j + u32(u[3u * b + 1u] * steps);
  let inside = row >= PAD && row < H + PAD && column >= PAD && column < W + PAD;
  let i = t / (H * W) * (H * W) + min(row - PAD, H - 1u) * W + min(column - PAD, W - 1u);
  y[t] = select(0.0, x[i], inside);
}
