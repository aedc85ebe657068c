/**
 * The largest logit.
 *
 * Paper: D. Hendrycks et al., "Scaling out-of-distribution detection for real-world settings", ICML 2022.
 *
 * @module
 */
import { max } from "../nn/mod.ts";
import { logitsOf } from "./functions.ts";
import type { Score } from "./types.ts";

/** `max_c z_c`. */
export const maxLogit: Score = {
  name: "maxLogit",
  about: "the largest logit",
  needs: ["logits"],
  score: (model, images) => max(logitsOf(model, images)),
};
