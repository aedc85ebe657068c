// y[n, c, i] = x[n, c, i] - m - ln(sum over k of exp(x[n, k, i] - m)), m = max over k of x[n, k, i]
// N rows of C classes, INNER of them side by side; one thread a row.
override N: u32;
override C: u32;
override INNER: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let row = t / INNER * (C * INNER) + t % INNER;
  var m = x[row];
  for (var c = 1u; c < C; c++) {
    let v = x[row + c * INNER];
    // A NaN becomes the maximum and stays it, so that the whole row is NaN.
    m = select(m, v, v > m || (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u);
  }
  var sum = 0.0;
  for (var c = 0u; c < C; c++) { sum += exp(x[row + c * INNER] - m); }
  let log_sum = log(sum);
  for (var c = 0u; c < C; c++) { y[row + c * INNER] = x[row + c * INNER] - m - log_sum; }
}
