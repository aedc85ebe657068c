// y[i] = a[i] if c[i] != 0, else b[i]
// n elements, four a thread; a NaN in c counts as not 0.
@group(0) @binding(0) var<storage, read> c: array<vec4f>;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= arrayLength(&y) { return; }
  y[t] = apply(c[t], a[t], b[t]);
}

fn apply(c: vec4f, a: vec4f, b: vec4f) -> vec4f {
  return select(a, b, c == vec4f(0.0));
}
