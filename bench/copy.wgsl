// y[i] = x[i], eight vectors a thread: nothing but memory
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stride = groups.x * 32u;
  for (var k = 0u; k < 8u; k++) {
    let i = id.x + k * stride;
    y[i] = x[i];
  }
}
