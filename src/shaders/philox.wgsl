// y[4t..4t+3] = Philox4x32-10(key, (t, counter, stream, OFFSET)) as uniform or normal numbers
// N numbers, four a thread; key = seed low word, seed high word, stream, 0.
// In rows of ROW numbers, a multiple of 4: (t in its row, counter, stream, OFFSET + 256 (1 + row's number)).
//
// J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011); normal: Box, Muller.
// Logarithm, sine and cosine are worked out here, since a GPU may have its own off by 2^-11 and the
// host has to agree.
override OP: u32;
override N: u32;
override OFFSET: u32 = 0u;
override ROW: u32 = 0u; // 0: no rows

const OP_uniform = 0u;
const OP_normal = 1u;

@group(0) @binding(0) var<storage, read> key: array<u32>;
@group(0) @binding(1) var<storage, read> counter: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<f32>; // if ROW
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t * 4u >= N { return; }
  var at = vec2u(t, OFFSET);
  if ROW > 0u {
    at = vec2u(t % (ROW / 4u), OFFSET + 256u * (1u + u32(rows[t / (ROW / 4u)])));
  }
  let words = philox(vec2u(key[0], key[1]), vec4u(at.x, u32(counter[0]), key[2], at.y));
  let u = vec4f(words >> vec4u(8u)) * (1.0 / 16777216.0);
  if OP == OP_normal {
    y[t] = vec4f(box_muller(1.0 - u.x, u.y), box_muller(1.0 - u.z, u.w));
  } else {
    y[t] = u;
  }
}

fn philox(seed: vec2u, start: vec4u) -> vec4u {
  var k = seed;
  var c = start;
  for (var round = 0u; round < 10u; round++) {
    let p = multiply(c.x, 0xd2511f53u);
    let q = multiply(c.z, 0xcd9e8d57u);
    c = vec4u(q.y ^ c.y ^ k.x, q.x, p.y ^ c.w ^ k.y, p.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

// The 64-bit product as (low word, high word), from 16-bit halves.
fn multiply(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let left = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let right = (a & 0xffffu) * (b >> 16u) + (left & 0xffffu);
  return vec2u(a * b, (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u));
}

// sqrt(-2 ln u) (cos 2 pi v, sin 2 pi v), 0 < u <= 1, 0 <= v < 1
fn box_muller(u: f32, v: f32) -> vec2f {
  return sqrt(-2.0 * natural_log(u)) * cos_sin_turn(v);
}

// u = m 2^e with m in [sqrt(1/2), sqrt(2)): ln u = e ln 2 + 2 artanh((m - 1) / (m + 1))
fn natural_log(u: f32) -> f32 {
  let bits = bitcast<u32>(u) - 0x3f3504f3u;
  let e = bitcast<i32>(bits) >> 23u;
  let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
  let z = (m - 1.0) / (m + 1.0);
  let s = z * z;
  let tail = s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * (1.0 / 9.0))));
  return f32(e) * 0.6931471805599453 + (2.0 * z + 2.0 * z * tail);
}

// (cos, sin) of v turns: the nearest quarter turn is exact, a polynomial does the rest
fn cos_sin_turn(v: f32) -> vec2f {
  let quarter = floor(4.0 * v + 0.5);
  let r = (4.0 * v - quarter) * 1.5707963267948966;
  let s = r * r;
  let tail = 1.0 / 120.0 + s * (-1.0 / 5040.0 + s * (1.0 / 362880.0));
  let sine = r + r * s * (-1.0 / 6.0 + s * tail);
  let cosine = 1.0 + s * (-0.5 + s * (1.0 / 24.0 + s * (-1.0 / 720.0 + s / 40320.0)));
  switch u32(quarter) & 3u {
    case 1u { return vec2f(-sine, cosine); }
    case 2u { return vec2f(-cosine, -sine); }
    case 3u { return vec2f(sine, -cosine); }
    default { return vec2f(cosine, sine); }
  }
}
