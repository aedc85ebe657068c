// loss: y[n] = -l[n, label[n]]; gradient: y[n, c] = (exp(l[n, c]) - (1 if c is label[n])) g[n]; l = log_softmax(x)
// N rows, C classes; one thread a row. A label that is no class has loss 0 and gradient 0.
override OP: u32;
override N: u32;
override C: u32;

const OP_loss = 0u;
const OP_gradient = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> label: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let row = t * C;
  var m = x[row];
  for (var c = 1u; c < C; c++) {
    let v = x[row + c];
    // A NaN becomes the maximum and stays it, so that the whole row is NaN.
    m = select(m, v, v > m || (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u);
  }
  var sum = 0.0;
  for (var c = 0u; c < C; c++) { sum += exp(x[row + c] - m); }
  let log_sum = log(sum);
  var loss = 0.0;
  var factor = 0.0;
  for (var c = 0u; c < C; c++) {
    if label[t] == f32(c) {
      loss = -(x[row + c] - m - log_sum);
      factor = g[t];
    }
  }
  if OP == OP_loss {
    y[t] = loss;
    return;
  }
  for (var c = 0u; c < C; c++) {
    let p = factor * exp(x[row + c] - m - log_sum);
    y[row + c] = select(p, p - factor, label[t] == f32(c));
  }
}
