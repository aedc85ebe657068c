/**
 * Classifiers out of ONNX files.
 *
 * @module
 */
export type { Preprocess } from "./graph.ts";
export { type ImportedClassifier, importOnnx, type ImportOptions } from "./import.ts";
export { checkLifted, checkWeights } from "./fit.ts";
export type { Choices } from "./plan.ts";
