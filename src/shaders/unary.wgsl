// y[i] = f(x[i]), f chosen by OP: softplus(x) = ln(1 + e^x), scale(x) = P x, shift(x) = x + P, ...
// n elements, four a thread; P parameter of scale, shift. All f but step and nonfinite hand NaN on.
override OP: u32;
override P: f32 = 0.0;
override SERIES: u32 = 0u; // 1: sine and cosine by their series, for WebGPU lets a driver's be off by 2^-11

const OP_neg = 0u;
const OP_abs = 1u;
const OP_sign = 2u;
const OP_step = 3u;
const OP_relu = 4u;
const OP_exp = 5u;
const OP_log = 6u;
const OP_log1p = 7u;
const OP_sqrt = 8u;
const OP_reciprocal = 9u;
const OP_square = 10u;
const OP_cos = 11u;
const OP_sin = 12u;
const OP_tanh = 13u;
const OP_sigmoid = 14u;
const OP_softplus = 15u;
const OP_floor = 16u;
const OP_scale = 17u;
const OP_shift = 18u;
const OP_nonfinite = 19u;
const OP_erf = 20u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= arrayLength(&y) { return; }
  y[t] = apply(x[t]);
}

fn apply(v: vec4f) -> vec4f {
  let magnitude = bitcast<vec4u>(v) & vec4u(0x7fffffffu);
  if OP == OP_nonfinite { return select(vec4f(0.0), vec4f(1.0), magnitude >= vec4u(0x7f800000u)); }
  if OP == OP_step { return select(vec4f(0.0), vec4f(1.0), v > vec4f(0.0)); }
  // A built-in may swallow NaN, so NaN goes round it.
  return select(f(v), v, magnitude > vec4u(0x7f800000u));
}

fn f(v: vec4f) -> vec4f {
  switch OP {
    case OP_neg { return -v; }
    case OP_abs { return abs(v); }
    case OP_sign { return sign(v); }
    case OP_relu { return select(v, vec4f(0.0), v <= vec4f(0.0)); }
    case OP_exp { return exp(v); }
    case OP_log { return logarithm(v); }
    case OP_log1p { return log1p(v); }
    case OP_sqrt { return defined(sqrt(v), v); }
    case OP_reciprocal { return 1.0 / v; }
    case OP_square { return v * v; }
    case OP_cos { return wave(v, 1); }
    case OP_sin { return wave(v, 0); }
    // Beyond 10 tanh is 1 in f32; some drivers divide two overflowed exponentials there.
    case OP_tanh { return tanh(clamp(v, vec4f(-10.0), vec4f(10.0))); }
    case OP_sigmoid {
      let e = exp(-abs(v));
      return select(vec4f(1.0), e, v < vec4f(0.0)) / (1.0 + e);
    }
    case OP_softplus { return max(v, vec4f(0.0)) + log1p(exp(-abs(v))); }
    case OP_floor { return floor(v); }
    case OP_scale { return P * v; }
    case OP_shift { return v + P; }
    case OP_erf { return erf(v); }
    default { return v; }
  }
}

// Near 0 the sum 1 + v loses v's digits: ln(1 + v) = 2 artanh(z), z = v / (2 + v), |z| <= 1/3.
fn log1p(v: vec4f) -> vec4f {
  let z = v / (2.0 + v);
  let s = z * z;
  let tail = 1.0 / 9.0 + s * (1.0 / 11.0 + s * (1.0 / 13.0 + s * (1.0 / 15.0)));
  let series = 2.0 * z * (1.0 + s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * (1.0 / 7.0 + s * tail))));
  return select(logarithm(1.0 + v), series, abs(v) <= vec4f(0.5));
}

// The error function: near 0 its Taylor series; further away 1 - (a1 t + .. + a5 t^5) e^(-v v), t = 1 / (1 + p |v|),
// which is off by 1.5e-7 at most (M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 7.1.5 and 7.1.26).
fn erf(v: vec4f) -> vec4f {
  let s = v * v;
  let tail = 1.0 / 42.0 - s * (1.0 / 216.0 - s * (1.0 / 1320.0 - s / 9360.0));
  let series = 1.1283792 * v * (1.0 - s * (1.0 / 3.0 - s * (1.0 / 10.0 - s * tail)));
  let t = 1.0 / (1.0 + 0.3275911 * abs(v));
  let low = 1.421413741 + t * (-1.453152027 + t * 1.061405429);
  let rest = t * (0.254829592 + t * (-0.284496736 + t * low)) * exp(-min(s, vec4f(80.0)));
  return select(sign(v) * (1.0 - rest), series, abs(v) < vec4f(0.5));
}

// -infinity of 0: a built-in may give the logarithm of the least number.
fn logarithm(v: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(v);
  let zero = (bits & vec4u(0x7fffffffu)) == vec4u(0u);
  return select(defined(log(v), v), bitcast<vec4f>(bits | vec4u(0xff800000u)), zero);
}

// What a function makes of v, NaN below 0: what a built-in makes of that is left to drivers.
fn defined(value: vec4f, v: vec4f) -> vec4f {
  return select(value, bitcast<vec4f>(bitcast<vec4u>(v) | vec4u(0x7fc00000u)), v < vec4f(0.0));
}

// sin(v + turns pi / 2): v less the nearest k pi / 2, pi / 2 in three parts of which the first two times k are exact.
fn wave(v: vec4f, turns: i32) -> vec4f {
  if SERIES == 0u {
    if turns == 0 { return sin(v); }
    return cos(v);
  }
  let k = round(v * 0.63661977);
  let r = ((v - k * 1.5703125) - k * 4.837512969970703e-4) - k * 7.5497899e-8;
  let s = r * r;
  let odd = r * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s / 362880.0))));
  let even = 1.0 + s * (-0.5 + s * (1.0 / 24.0 + s * (-1.0 / 720.0 + s * (1.0 / 40320.0 - s / 3628800.0))));
  let quarter = vec4i(k) + turns;
  let value = select(odd, even, (quarter & vec4i(1)) == vec4i(1));
  return select(value, -value, (quarter & vec4i(2)) == vec4i(2));
}
