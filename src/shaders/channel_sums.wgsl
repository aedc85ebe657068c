// y[b, 0, c] = sum over p of u, y[b, 1, c] = sum over p of u v, by OP:
// products: u = x[b, c, p], v = z[b, c, p]; moments: u = v = x[b, c, p] - x[0, c, 0]
// B images, C channels, P pixels of a plane; one thread a plane. The shift keeps a variance exact.
override OP: u32;
override B: u32;
override C: u32;
override P: u32;

const OP_products = 0u;
const OP_moments = 1u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= B * C { return; }
  let c = t % C;
  var shift = 0.0;
  if OP == OP_moments {
    shift = at_x(c * P);
  }
  var first = vec4f(0.0);
  var second = vec4f(0.0);
  if P % 4u == 0u {
    for (var i = t * (P / 4u); i < (t + 1u) * (P / 4u); i++) {
      let u = x[i] - shift;
      first += u;
      if OP == OP_moments {
        second += u * u;
      } else {
        second += u * z[i];
      }
    }
  } else {
    for (var i = t * P; i < (t + 1u) * P; i++) {
      let u = at_x(i) - shift;
      first.x += u;
      if OP == OP_moments {
        second.x += u * u;
      } else {
        second.x += u * z[i / 4u][i % 4u];
      }
    }
  }
  let row = t / C * 2u * C + c;
  y[row] = (first.x + first.y) + (first.z + first.w);
  y[row + C] = (second.x + second.y) + (second.z + second.w);
}

fn at_x(i: u32) -> f32 {
  return x[i / 4u][i % 4u];
}
