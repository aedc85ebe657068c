// y[n, w] = byte(index[n] W + w) / 255, byte k = bits 8 (k % 4) and on of x[k / 4]
// N rows of y, W bytes a row (rows need not start on a word), four elements a thread.
override N: u32;
override W: u32;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> index: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  let i = t * 4u;
  if i >= N * W { return; }
  var bytes: vec4u;
  if W % 4u == 0u {
    let word = x[u32(index[i / W]) * (W / 4u) + i % W / 4u];
    bytes = (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  } else {
    bytes = vec4u(byte_at(i), byte_at(i + 1u), byte_at(i + 2u), byte_at(i + 3u));
  }
  // A float division need not be exact on a GPU. An integer one is: shifted to the top of the word,
  // byte / 255 has at most 24 bits, just those of an f32, and + 127 rounds it to the nearest.
  let shift = countLeadingZeros(bytes | vec4u(1u));
  let quotient = ((bytes << shift) + vec4u(127u)) / vec4u(255u);
  y[t] = vec4f(quotient) * bitcast<vec4f>((vec4u(127u) - shift) << vec4u(23u));
}

fn byte_at(i: u32) -> u32 {
  let k = u32(index[min(i / W, N - 1u)]) * W + i % W;
  return (x[k / 4u] >> (k % 4u * 8u)) & 255u;
}
