/**
 * Mirage attacks the uncertainty of deep neural networks: it perturbs out-of-domain images until a
 * model that should say "I don't know" answers with confidence.
 *
 * The whole experiment is one call: it finds or trains a model, attacks it on letters it has never
 * seen, and returns the figures before and after.
 *
 * @example
 * ```ts
 * import { attack, runConfig } from "@mirage/mirage";
 * const savePath = await Deno.makeTempDir();
 * const config = runConfig({ mode: "sngp", epochs: 1, limit: 256, savePath });
 * const { clean, adversarial } = await attack(config);
 * console.log(`mean entropy ${clean.entropy} -> ${adversarial.entropy} nats`);
 * await Deno.remove(savePath, { recursive: true });
 * ```
 *
 * The pieces are exported too: data sets, metrics, methods, attacks, and under `nn` the
 * neural-net layer with its kernels.
 *
 * @module
 */
export { MemoryError, UserError } from "./src/base/errors.ts";
export type { ModulePath } from "./src/base/module.ts";
export type { Checked, Schema, SchemaError } from "./src/base/schema.ts";
export { runConfig, runConfigSchema, thresholds } from "./src/experiment/config.ts";
export type {
  ChosenDifferences,
  ChosenHyperparameters,
  CompleteOptions,
  RunConfig,
  RunOptions,
} from "./src/experiment/options.ts";
export {
  commonDifferences,
  concerning,
  iterationOf,
  type Procedure,
  procedureOf,
  type Protocol,
  type ProtocolOption,
  type ProtocolOptionName,
  protocolOptions,
  type Stage,
} from "./src/methods/protocol.ts";
export { attack, type AttackRun, attackWithExamples } from "./src/experiment/attack.ts";
export {
  attackModel,
  type OwnAttack,
  type OwnModel,
  type OwnRun,
  verifyModel,
} from "./src/experiment/own_model.ts";
export {
  checkLifted,
  type Choices,
  type ImportedClassifier,
  importOnnx,
  type ImportOptions,
  type Preprocess,
} from "./src/onnx/mod.ts";
export { battery } from "./src/experiment/battery.ts";
export type { BatteryResult, BatteryScore } from "./src/experiment/battery_document.ts";
export {
  batteries,
  type Battery,
  type BatteryMember,
  type BatteryName,
} from "./src/experiment/batteries.ts";
export { evaluate } from "./src/experiment/evaluate.ts";
export { train } from "./src/experiment/train.ts";
export { type NetworkTraining, trainNetwork } from "./src/train/network.ts";
export type { LoadedModel, TrainedOn } from "./src/experiment/workbench.ts";
export type { FittedPosterior } from "./src/experiment/posterior.ts";
export {
  type LaplaceAround,
  laplaceAround,
  type PosteriorImages,
} from "./src/evaluate/fit_posterior.ts";
export type { LaplaceOptions } from "./src/methods/laplace.ts";
export { table, type TableOptions } from "./src/experiment/table.ts";
export { tableResultSchema } from "./src/experiment/table_document.ts";
export {
  type PairName,
  type PaperFigures,
  type PaperRow,
  paperTables,
} from "./src/experiment/paper.ts";
export {
  type Attacked,
  type AttackJob,
  type AttackOptions,
  attackSet,
} from "./src/evaluate/attack_set.ts";
export { classMeans } from "./src/evaluate/class_means.ts";
export { type Job, type JobOptions, predict } from "./src/evaluate/predict.ts";
export type { Answers, ReadingValues, ScoreValues } from "./src/measure/answers.ts";
export type { Explain } from "./src/evaluate/explain.ts";
export { ResidentSet } from "./src/evaluate/resident_set.ts";
export { loadCheckpoint, type Loaded } from "./src/checkpoint/checkpoint.ts";
export type { EpochFigures, Metadata, Statement, Values } from "./src/checkpoint/statement.ts";
export {
  listRuns,
  type RunRow,
  type RunsQuery,
  type RunsResult,
  type RunState,
  type SortKey,
} from "./src/runs/list.ts";
export type { RunCommand } from "./src/runs/schema.ts";
export { verify, type VerifyResult } from "./src/experiment/verify.ts";
export { report, verdict } from "./src/report/in_code.ts";
export type { AttackedScore } from "./src/measure/evidence.ts";
export type { AttackChecks, Check, CheckName } from "./src/measure/check.ts";
export { type Progress, type Reporter, silent } from "./src/base/reporter.ts";
export {
  attackResultSchema,
  evalResultSchema,
  trainResultSchema,
} from "./src/experiment/documents.ts";
export type {
  AttackedRowScores,
  AttackResult,
  EvalResult,
  InDomain,
  InDomainAttack,
  ModelFacts,
  OwnStatistic,
  PosteriorResult,
  ReadFacts,
  ReadingResult,
  RowFigures,
  RowScores,
  RunFacts,
  SavedModel,
  SetUncertainty,
  Statistic,
  SteeredUncertainty,
  TableResult,
  TableRow,
  TrainResult,
  Uncertainty,
  WithoutInDomain,
} from "./src/experiment/results.ts";
export type {
  AttackedDetectorResult,
  AttackedTauPoint,
  AttackEvidence,
  CalibrationResult,
  ChecksResult,
  DetectionResult,
  DetectorResult,
  EpsilonPoint,
  EstimateResult,
  EvalEvidence,
  FitResult,
  Left,
  ScoreAttacks,
  ScoreMatrix,
  ScoresResult,
  SeparationResult,
  TauPoint,
  TemperatureResult,
  Told,
  ToldResult,
} from "./src/measure/results.ts";
export {
  accuracy,
  brier,
  confidences,
  entropies,
  entropy,
  logConfidence,
  type MeanOptions,
  nanRows,
  nll,
  type Predictions,
  rejectionRate,
  rightRows,
} from "./src/measure/metrics.ts";
export {
  bootstrap,
  type BootstrapOptions,
  type Estimate,
  estimate,
  type Scores,
  type Separation,
  separation,
  shareBelow,
  thresholdKeeping,
} from "./src/measure/detection.ts";
export { type Calibration, calibration, type ReliabilityBin } from "./src/measure/calibration.ts";
export {
  type Attack,
  type Attackable,
  type AttackName,
  attacks,
  type AttackSettings,
  type Direction,
  directions,
  type Init,
  type InitName,
  type InitPlace,
  inits,
  type Iterate,
  iterate,
  type IterateOptions,
  type LossOptions,
  type Need,
  type Norm,
  type NormName,
  norms,
  type Objective,
  type ObjectiveName,
  objectives,
  type Problem,
  type Side,
  sides,
  startOf,
  type Which,
} from "./src/attack/mod.ts";
export { Classifier } from "./src/methods/classifier.ts";
export {
  type AllOwn,
  type Answering,
  type Difference,
  type Domain,
  type GpKernel,
  type Hyperparameter,
  type Hyperparameters,
  type ImageShape,
  type InitialiseContext,
  type Method,
  type MethodFacts,
  type MethodName,
  type MethodOf,
  methods,
  type Model,
  type ModelOptions,
  type ModelOptionsOf,
  type NetworkOptions,
  type NothingOwn,
  ofLogits,
  type Own,
  type Posterior,
  type Reading,
  type Schedule,
  type Score,
  settledHyperparameters,
  single,
  type Subject,
  type Together,
  type TrainContext,
  type TrainStep,
  type ValueOf,
  type ValuesOf,
} from "./src/methods/mod.ts";
export {
  type ChosenSets,
  type DataPath,
  type DataSet,
  type EmbeddedSplit,
  type Found,
  type ImageSet,
  imageSet,
  type ImageSetParts,
  limit,
  loadCifar10,
  loadEmbedded,
  loadMnist,
  loadNotMnist,
  loadOwnImages,
  loadSvhn,
  type NotMnistOptions,
  type OpenSet,
  type OpenSets,
  openSets,
  type OpenSetsOptions,
  type OwnFacts,
  type OwnOptions,
  type OwnSettings,
  type Part,
  type SetName,
  sets as dataSets,
  type SourceFile,
  type Split,
} from "./data/mod.ts";
export {
  type AllNetworkOwn,
  type ClassifierNetwork,
  type ClassifierShape,
  type FeatureOptions,
  type Features,
  LeNet,
  LeNetFeatures,
  type Network,
  type NetworkFacts,
  type NetworkHyperparameter,
  type NetworkHyperparameters,
  type NetworkName,
  type NetworkOf,
  networkOf,
  type NetworkOwn,
  networks,
  ResNet18,
  ResNet18Features,
  type ResNetOptions,
  SpectralLeNet,
} from "./src/networks/mod.ts";
export * as nn from "./src/nn/mod.ts";
